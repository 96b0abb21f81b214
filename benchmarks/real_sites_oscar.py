"""django-oscar as its documentation sets it up, with a catalogue, customers and orders. See real_sites.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from oscar.defaults import *  # noqa: F403 - how oscar's settings are made
from oscar.defaults import OSCAR_DASHBOARD_NAVIGATION  # noqa: F401

import perfsuite

_OSCAR = [
    "oscar.config.Shop",
    *(f"oscar.apps.{each}" for each in (
        "analytics.apps.AnalyticsConfig", "checkout.apps.CheckoutConfig", "address.apps.AddressConfig",
        "shipping.apps.ShippingConfig", "catalogue.apps.CatalogueConfig", "catalogue.reviews.apps.CatalogueReviewsConfig",
        "communication.apps.CommunicationConfig", "partner.apps.PartnerConfig", "basket.apps.BasketConfig",
        "payment.apps.PaymentConfig", "offer.apps.OfferConfig", "order.apps.OrderConfig", "customer.apps.CustomerConfig",
        "search.apps.SearchConfig", "voucher.apps.VoucherConfig", "wishlists.apps.WishlistsConfig",
        "dashboard.apps.DashboardConfig", "dashboard.reports.apps.ReportsDashboardConfig",
        "dashboard.users.apps.UsersDashboardConfig", "dashboard.orders.apps.OrdersDashboardConfig",
        "dashboard.catalogue.apps.CatalogueDashboardConfig", "dashboard.offers.apps.OffersDashboardConfig",
        "dashboard.partners.apps.PartnersDashboardConfig", "dashboard.pages.apps.PagesDashboardConfig",
        "dashboard.ranges.apps.RangesDashboardConfig", "dashboard.reviews.apps.ReviewsDashboardConfig",
        "dashboard.vouchers.apps.VouchersDashboardConfig", "dashboard.communications.apps.CommunicationsDashboardConfig",
        "dashboard.shipping.apps.ShippingDashboardConfig",
    )),
]  # fmt: skip

SETTINGS: dict[str, Any] = {
    **{name: value for name, value in globals().items() if name.startswith("OSCAR_")},
    "SITE_ID": 1,
    "INSTALLED_APPS": [
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "django.contrib.messages", "django.contrib.staticfiles", "django.contrib.sites", "django.contrib.flatpages",
        *_OSCAR, "widget_tweaks", "haystack", "treebeard", "sorl.thumbnail", "django_tables2", "phonenumber_field",
        *perfsuite.APPS,
    ],
    "MIDDLEWARE": [
        "perfsuite.monitoring.RequestMetricsMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "oscar.apps.basket.middleware.BasketMiddleware",
        "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    ],
    "AUTHENTICATION_BACKENDS": [
        "oscar.apps.customer.auth_backends.EmailBackend", "django.contrib.auth.backends.ModelBackend",
    ],
    "HAYSTACK_CONNECTIONS": {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
    "TEMPLATES": [{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
            "django.template.context_processors.i18n", "django.contrib.messages.context_processors.messages",
            "oscar.apps.search.context_processors.search_form", "oscar.apps.checkout.context_processors.checkout",
            "oscar.apps.communication.notifications.context_processors.notifications", "oscar.core.context_processors.metadata",
        ]},
    }],
}  # fmt: skip

STARTS = (
    "/", "/catalogue/", "/search/?q=product", "/basket/", "/offers/", "/dashboard/", "/accounts/", "/dashboard/catalogue/",
    "/dashboard/catalogue/categories/", "/dashboard/orders/", "/dashboard/users/", "/dashboard/reports/", "/dashboard/partners/",
    "/dashboard/offers/", "/dashboard/vouchers/", "/dashboard/ranges/", "/dashboard/reviews/", "/dashboard/pages/",
    "/dashboard/catalogue/product-types/", "/dashboard/communications/", "/accounts/orders/", "/accounts/addresses/",
    "/accounts/wishlists/", "/accounts/notifications/inbox/", "/accounts/profile/", "/dashboard/catalogue/options/",
    "/dashboard/orders/statistics/", "/dashboard/catalogue/attribute-option-group/", "/accounts/alerts/",
    "/dashboard/users/alerts/", "/dashboard/catalogue/low-stock-alerts/", "/checkout/",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.apps import apps
    from django.urls import include, path

    patterns = [
        path("i18n/", include("django.conf.urls.i18n")),
        path("", include(apps.get_app_config("oscar").urls[0])),
    ]
    globals()["urlpatterns"] = patterns
    return patterns


def fill(rows: int) -> Any:
    """Make products in categories, with reviews, and orders of customers; return a superuser."""
    from django.contrib.auth import get_user_model
    from oscar.apps.catalogue.categories import create_from_breadcrumbs
    from oscar.apps.partner.strategy import Default
    from oscar.core.loading import get_model
    from oscar.test import factories

    users = get_user_model().objects
    admin = users.create_superuser(username="admin", email="admin@example.org", password="admin")
    customers = [
        users.create_user(username=f"user{n}", email=f"user{n}@example.org", password=None)
        for n in range(rows)
    ]
    country = factories.CountryFactory()
    categories = [create_from_breadcrumbs(f"Group {n % 4} > Shelf {n}") for n in range(rows // 2)]
    kinds = [factories.ProductClassFactory(name=f"Kind {n}") for n in range(3)]
    products, partners = [], [factories.PartnerFactory(name=f"Partner {n}") for n in range(rows)]
    for n in range(2 * rows):
        product = factories.create_product(
            title=f"Product {n}", product_class=kinds[n % 3].name, partner_name=partners[n % rows].name, price=Decimal(n + 1),
            num_in_stock=200, attributes={"colour": f"colour {n}"},
        )  # fmt: skip
        product.categories.add(categories[n % len(categories)])
        products.append(product)
    for n, product in enumerate(products):
        factories.ProductReviewFactory(product=product, user=customers[n % rows], status=1)
        get_model("catalogue", "ProductRecommendation").objects.create(
            primary=product, recommendation=products[n - 1]
        )
    for n in range(rows):
        of = admin if n % 2 else customers[n]
        factories.UserAddressFactory(user=of, country=country, line1=f"{n} Street", postcode="N12 9RE")
        basket = factories.BasketFactory(owner=of)
        for product in products[n : n + 3]:
            basket.add_product(product)
        factories.create_order(number=f"{1000 + n}", basket=basket, user=of)
        range_ = factories.RangeFactory(name=f"Range {n}", products=products[n : n + 4])
        factories.create_offer(name=f"Offer {n}", product_range=range_)
        factories.VoucherFactory(name=f"Voucher {n}", code=f"CODE{n}")
        wishlist = factories.WishListFactory(owner=of, name=f"List {n}")
        wishlist.add(products[n])
    basket = get_model("basket", "Basket").open.get_or_create(owner=admin)[0]
    basket.strategy = Default()
    for product in products[:12]:
        basket.add_product(product)
    return admin
