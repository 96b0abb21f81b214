"""What is asked of the wholesaler's database: reports in the manner of TPC-H, in words of our own, and what a site asks all day.

Written as Django writes SQL where Django could write it.
"""

from __future__ import annotations

QUERIES = {
    "sums by flag": """
        SELECT "lineitem"."returned", "lineitem"."status", SUM("lineitem"."quantity"), SUM("lineitem"."price"), COUNT(*)
        FROM "lineitem" WHERE "lineitem"."shipped" <= '1998-05-02'
        GROUP BY "lineitem"."returned", "lineitem"."status"
        ORDER BY "lineitem"."returned" ASC, "lineitem"."status" ASC""",
    "cheapest supplier": """
        SELECT "supplier"."balance", "supplier"."name", "part"."id" FROM "part"
        INNER JOIN "partsupp" ON ("part"."id" = "partsupp"."part_id")
        INNER JOIN "supplier" ON ("partsupp"."supplier_id" = "supplier"."id")
        INNER JOIN "nation" ON ("supplier"."nation_id" = "nation"."id")
        WHERE "part"."size" = 15 AND "part"."type" LIKE '%BRASS' AND "nation"."region_id" = 3
        AND "partsupp"."cost" = (SELECT MIN(U0."cost") FROM "partsupp" U0 WHERE U0."part_id" = ("part"."id"))
        ORDER BY "supplier"."balance" DESC LIMIT 100""",
    "unshipped orders": """
        SELECT "lineitem"."order_id", SUM("lineitem"."price") AS "revenue", "orders"."date" FROM "customer"
        INNER JOIN "orders" ON ("customer"."id" = "orders"."customer_id")
        INNER JOIN "lineitem" ON ("orders"."id" = "lineitem"."order_id")
        WHERE "customer"."segment" = 'BUILDING' AND "orders"."date" < '1995-03-15' AND "lineitem"."shipped" > '1995-03-15'
        GROUP BY "lineitem"."order_id", "orders"."date" ORDER BY "revenue" DESC LIMIT 10""",
    "late orders by priority": """
        SELECT "orders"."priority", COUNT(*) FROM "orders"
        WHERE "orders"."date" >= '1993-07-01' AND "orders"."date" < '1993-10-01' AND EXISTS(
            SELECT 1 AS "a" FROM "lineitem" U0 WHERE (U0."order_id" = ("orders"."id") AND U0."committed" < U0."received"))
        GROUP BY "orders"."priority" ORDER BY "orders"."priority" ASC""",
    "volume within a region": """
        SELECT "nation"."name", SUM("lineitem"."price") AS "revenue" FROM "customer"
        INNER JOIN "orders" ON ("customer"."id" = "orders"."customer_id")
        INNER JOIN "lineitem" ON ("orders"."id" = "lineitem"."order_id")
        INNER JOIN "supplier" ON ("lineitem"."supplier_id" = "supplier"."id" AND "customer"."nation_id" = "supplier"."nation_id")
        INNER JOIN "nation" ON ("supplier"."nation_id" = "nation"."id")
        INNER JOIN "region" ON ("nation"."region_id" = "region"."id")
        WHERE "region"."name" = 'REGION 2' AND "orders"."date" >= '1994-01-01' AND "orders"."date" < '1994-02-01'
        GROUP BY "nation"."name" ORDER BY "revenue" DESC""",
    "revenue of small discounts": """
        SELECT SUM("lineitem"."price" * "lineitem"."discount") AS "revenue" FROM "lineitem"
        WHERE "lineitem"."shipped" >= '1994-01-01' AND "lineitem"."shipped" < '1995-01-01'
        AND "lineitem"."discount" BETWEEN 5 AND 7 AND "lineitem"."quantity" < 24""",
    "returned items": """
        SELECT "customer"."id", "customer"."name", SUM("lineitem"."price") AS "revenue" FROM "customer"
        INNER JOIN "orders" ON ("customer"."id" = "orders"."customer_id")
        INNER JOIN "lineitem" ON ("orders"."id" = "lineitem"."order_id")
        WHERE "orders"."date" >= '1993-10-01' AND "orders"."date" < '1994-01-01' AND "lineitem"."returned" = 'R'
        GROUP BY "customer"."id", "customer"."name" ORDER BY "revenue" DESC LIMIT 20""",
    "stock of a nation": """
        SELECT "partsupp"."part_id", SUM("partsupp"."cost") AS "value" FROM "partsupp"
        INNER JOIN "supplier" ON ("partsupp"."supplier_id" = "supplier"."id")
        INNER JOIN "nation" ON ("supplier"."nation_id" = "nation"."id")
        WHERE "nation"."name" = 'NATION 7' GROUP BY "partsupp"."part_id" ORDER BY "value" DESC""",
    "modes of shipping": """
        SELECT "lineitem"."mode", COUNT("orders"."id") FROM "lineitem"
        INNER JOIN "orders" ON ("lineitem"."order_id" = "orders"."id")
        WHERE "lineitem"."mode" IN ('MAIL', 'SHIP') AND "lineitem"."received" >= '1994-01-01'
        AND "lineitem"."received" < '1994-03-01' AND "lineitem"."committed" < "lineitem"."received"
        GROUP BY "lineitem"."mode" ORDER BY "lineitem"."mode" ASC""",
    "promotions of a month": """
        SELECT SUM(CASE WHEN "part"."type" LIKE 'PROMO%' THEN "lineitem"."price" ELSE 0 END), SUM("lineitem"."price")
        FROM "lineitem" INNER JOIN "part" ON ("lineitem"."part_id" = "part"."id")
        WHERE "lineitem"."shipped" >= '1995-09-01' AND "lineitem"."shipped" < '1995-10-01'""",
    "suppliers of parts": """
        SELECT "part"."brand", "part"."size", COUNT(DISTINCT "partsupp"."supplier_id") AS "suppliers" FROM "partsupp"
        INNER JOIN "part" ON ("partsupp"."part_id" = "part"."id")
        WHERE NOT ("part"."brand" = 'Brand 5') AND "part"."size" IN (9, 14, 23)
        GROUP BY "part"."brand", "part"."size" ORDER BY "suppliers" DESC""",
    "small orders of a part": """
        SELECT SUM("lineitem"."price") FROM "lineitem" INNER JOIN "part" ON ("lineitem"."part_id" = "part"."id")
        WHERE "part"."brand" = 'Brand 3' AND "part"."container" = 'BOX 4'
        AND "lineitem"."quantity" < (SELECT AVG(U0."quantity") FROM "lineitem" U0 WHERE U0."part_id" = ("part"."id"))""",
    "suppliers of forest": """
        SELECT "supplier"."name" FROM "supplier" INNER JOIN "nation" ON ("supplier"."nation_id" = "nation"."id")
        WHERE "nation"."name" = 'NATION 3' AND "supplier"."id" IN (SELECT U0."supplier_id" FROM "partsupp" U0
            WHERE U0."available" > 5000 AND U0."part_id" IN (SELECT V0."id" FROM "part" V0 WHERE V0."name" LIKE 'forest%'))""",
    "suppliers who wait": """
        SELECT "supplier"."name", COUNT(*) FROM "supplier"
        INNER JOIN "lineitem" ON ("supplier"."id" = "lineitem"."supplier_id")
        INNER JOIN "orders" ON ("lineitem"."order_id" = "orders"."id")
        WHERE "orders"."status" = 'P' AND "lineitem"."received" > "lineitem"."committed" AND "supplier"."nation_id" = 4
        AND EXISTS(SELECT 1 AS "a" FROM "lineitem" U0 WHERE (U0."order_id" = ("lineitem"."order_id")
            AND NOT (U0."supplier_id" = ("lineitem"."supplier_id"))))
        GROUP BY "supplier"."name" ORDER BY COUNT(*) DESC LIMIT 100""",
    "customers without orders": """
        SELECT COUNT(*) FROM "customer" WHERE "customer"."balance" > 7000 AND "customer"."nation_id" IN (3, 7)
        AND NOT EXISTS(SELECT 1 AS "a" FROM "orders" U0 WHERE U0."customer_id" = ("customer"."id"))""",
    "latest orders of a customer": """
        SELECT "orders"."id", "orders"."status", "orders"."total", "orders"."date" FROM "orders"
        WHERE "orders"."customer_id" = 37 ORDER BY "orders"."date" DESC LIMIT 20""",
    "lines of an order": """
        SELECT "lineitem"."id", "lineitem"."part_id", "lineitem"."quantity", "lineitem"."price", "lineitem"."comment"
        FROM "lineitem" WHERE "lineitem"."order_id" = 51 ORDER BY "lineitem"."number" ASC""",
    "orders in part shipped": """
        SELECT COUNT(*) AS "__count" FROM "orders" WHERE ("orders"."status" = 'P' AND "orders"."date" >= '1997-01-01')""",
    "largest orders of a clerk": """
        SELECT "orders"."id", "orders"."total", "orders"."comment" FROM "orders"
        WHERE "orders"."clerk" = 'Clerk 7' ORDER BY "orders"."total" DESC LIMIT 10""",
    "newest orders": """
        SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."date",
        "orders"."priority", "orders"."clerk", "orders"."comment" FROM "orders"
        ORDER BY "orders"."date" DESC LIMIT 25""",
    "last shipment of a supplier": """
        SELECT MAX("lineitem"."shipped") AS "shipped__max" FROM "lineitem" WHERE "lineitem"."supplier_id" = 13""",
    "a part of a supplier": """
        SELECT "lineitem"."id", "lineitem"."price", "lineitem"."discount" FROM "lineitem"
        WHERE ("lineitem"."part_id" = 310 AND "lineitem"."supplier_id" = 10)""",
    "a customer by name": """
        SELECT "customer"."id", "customer"."name", "customer"."phone", "customer"."balance" FROM "customer"
        WHERE "customer"."name" = 'Customer 500' LIMIT 21""",
    "orders with their customers": """
        SELECT "orders"."id", "orders"."date", "customer"."name" FROM "orders"
        INNER JOIN "customer" ON ("orders"."customer_id" = "customer"."id")
        WHERE ("customer"."nation_id" = 6 AND "orders"."priority" = '1-URGENT' AND "orders"."status" = 'P')""",
}
