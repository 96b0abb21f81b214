/** The performance panel's page: reads its configuration from data attributes, polls, and draws cards by their type. */
import { ChartView } from "./chart";
import { offerCopies } from "./copy";
import { h, setText } from "./dom";
import { ago } from "./format";
import { Poller, type State } from "./poll";
import { TableView } from "./table";
import { applyTheme, watchTheme } from "./theme";
import { TilesView } from "./tiles";
import type { Card, MessageCard, Notice, Payload, View } from "./types";

class MessageView implements View<MessageCard> {
  private readonly text = h("span");
  readonly element = h("p", { class: "ps-notice" }, this.text);

  update(card: MessageCard): void {
    this.element.dataset["level"] = card.level ?? "warning";
    setText(this.text, card.text ?? `This version of the panel cannot show cards of the type ${String(card.type)}.`);
  }
}

/** A card's frame: the heading, the hint, and the view that its type asks for. */
class CardFrame {
  readonly element: HTMLElement;
  readonly type: string;
  private readonly title: HTMLElement;
  private readonly hint = h("p", { class: "ps-card-hint" });
  private readonly view: View;

  constructor(card: Card, root: HTMLElement) {
    this.type = card.type;
    const titleId = `ps-title-${card.id}`;
    this.title = h("h2", { id: titleId });
    this.view = viewFor(card, root);
    const head = h("header", { class: "ps-card-head" }, this.title, this.hint);
    this.element = h("section", { class: "ps-card", "aria-labelledby": titleId }, head, this.view.element);
  }

  update(card: Card, payload: Payload): void {
    this.element.dataset["card"] = card.id;
    this.element.dataset["type"] = card.type;
    this.element.dataset["width"] = card.width ?? "full";
    setText(this.title, card.title);
    setText(this.hint, card.hint ?? "");
    this.view.update(card, payload);
  }

  retheme(): void {
    this.view.retheme?.();
  }

  remove(): void {
    this.view.destroy?.();
    this.element.remove();
  }
}

function viewFor(card: Card, root: HTMLElement): View {
  switch (card.type) {
    case "tiles":
      return new TilesView() as View;
    case "chart":
      return new ChartView(root) as View;
    case "table":
      return new TableView() as View;
    default:
      return new MessageView() as View;
  }
}

class Dashboard {
  private readonly frames = new Map<string, CardFrame>();
  private readonly cards = this.part("cards");
  private readonly notices = this.part("notices");
  private readonly updated = this.part("updated");
  private readonly announcer = this.part("announcer");
  private readonly live = this.part("live");
  private readonly problem = this.part("problem");
  private readonly ranges: HTMLButtonElement[];
  private readonly poller: Poller;
  private updatedAt = 0;
  private state: State = "loading";
  private noticesKey = "";

  constructor(private readonly root: HTMLElement) {
    const { url = "data/", range = "1h", pollS = "5" } = root.dataset;
    this.ranges = [...root.querySelectorAll<HTMLButtonElement>("[data-ps-range]")];
    this.poller = new Poller(url, range, Number(pollS) || 5, {
      data: (payload) => this.show(payload),
      state: (state, detail) => this.enter(state, detail),
    });
    for (const button of this.ranges) {
      button.addEventListener("click", () => this.choose(button.dataset["psRange"] ?? range));
    }
    this.live.addEventListener("click", () => this.togglePause());
    setInterval(() => this.showAge(), 1000);
    watchTheme(() => this.frames.forEach((frame) => frame.retheme()));
    this.poller.start();
  }

  private part(name: string): HTMLElement {
    const found = this.root.querySelector<HTMLElement>(`[data-ps="${name}"]`);
    if (!found) throw new Error(`The panel's template has no part ${name}.`);
    return found;
  }

  private choose(range: string): void {
    for (const button of this.ranges) button.setAttribute("aria-pressed", String(button.dataset["psRange"] === range));
    const address = new URL(location.href);
    address.searchParams.set("range", range);
    history.replaceState(history.state, "", address);
    this.root.setAttribute("aria-busy", "true");
    this.cards.dataset["stale"] = "true";
    this.poller.setRange(range);
  }

  private togglePause(): void {
    const pause = this.live.getAttribute("aria-pressed") === "true";
    this.live.setAttribute("aria-pressed", String(!pause));
    this.poller.setPaused(pause);
  }

  private show(payload: Payload): void {
    this.updatedAt = Date.now();
    this.root.removeAttribute("aria-busy");
    delete this.cards.dataset["stale"];
    this.showNotices(payload.notices);
    this.showCards(payload);
    this.showAge();
  }

  private showNotices(notices: Notice[]): void {
    const key = JSON.stringify(notices);
    if (key === this.noticesKey) return;
    this.noticesKey = key;
    this.notices.replaceChildren(
      ...notices.map((notice) => h("p", { class: "ps-notice", "data-level": notice.level }, h("span", {}, notice.text))),
    );
  }

  private showCards(payload: Payload): void {
    const wanted = new Map(payload.cards.map((card) => [card.id, card]));
    for (const [id, frame] of this.frames) {
      if (wanted.get(id)?.type === frame.type) continue;
      frame.remove();
      this.frames.delete(id);
    }
    for (const placeholder of this.cards.querySelectorAll(".ps-skeleton")) placeholder.remove();
    payload.cards.forEach((card, index) => {
      let frame = this.frames.get(card.id);
      if (!frame) {
        frame = new CardFrame(card, this.root);
        this.frames.set(card.id, frame);
      }
      const there = this.cards.children[index] ?? null;
      if (there !== frame.element) this.cards.insertBefore(frame.element, there);
      frame.update(card, payload);
    });
  }

  private enter(state: State, detail: string): void {
    if (state === this.state && state !== "retrying") return;
    const before = this.state;
    this.state = state;
    this.root.dataset["state"] = state;
    this.showProblem(state, detail);
    if (state !== before) setText(this.announcer, this.words(state, before));
    this.showAge();
  }

  private words(state: State, before: State): string {
    if (state === "paused") return "Live updates paused.";
    if (state === "live") return before === "loading" ? "The numbers are shown." : "Live updates are on.";
    return "";
  }

  private showProblem(state: State, detail: string): void {
    if (state === "ended") {
      const next = `${location.pathname}${location.search}`;
      const login = h("a", { href: `${this.root.dataset["loginUrl"] ?? ""}?next=${encodeURIComponent(next)}` }, "Log in again.");
      this.problem.replaceChildren(h("p", { class: "ps-notice", "data-level": "error" }, h("span", {}, "Your session ended. ", login)));
    } else if (state === "retrying") {
      const text = `Could not reach the server, retrying. ${detail}`.trim();
      if (this.problem.textContent === text) return;
      this.problem.replaceChildren(h("p", { class: "ps-notice", "data-level": "warning" }, h("span", {}, text)));
    } else {
      this.problem.replaceChildren();
    }
  }

  private showAge(): void {
    if (!this.updatedAt) return;
    const paused = this.state === "paused" ? "paused, " : "";
    setText(this.updated, `${paused}updated ${ago((Date.now() - this.updatedAt) / 1000)}`);
  }
}

applyTheme();
const root = document.getElementById("perfsuite-panel");
if (root) new Dashboard(root);
// The pages that are made on the server take the colours, and have lines to copy.
else {
  watchTheme(() => undefined);
  offerCopies();
}
