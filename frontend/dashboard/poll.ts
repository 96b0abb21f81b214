/** Fetches the panel's JSON on a timer: never while the tab is hidden, never two at once, slower after failures. */
import type { Payload } from "./types";

export type State = "loading" | "live" | "paused" | "retrying" | "ended";

export interface Listener {
  data(payload: Payload): void;
  state(state: State, detail: string): void;
}

const LONGEST_WAIT_S = 60;

export class Poller {
  private timer: number | undefined;
  private request: AbortController | null = null;
  private failures = 0;
  private state: State = "loading";
  private paused = false;
  private lastAt = 0;

  constructor(
    private readonly url: string,
    private range: string,
    private pollS: number,
    private readonly listener: Listener,
  ) {}

  start(): void {
    document.addEventListener("visibilitychange", () => this.onVisibility());
    // The page cache keeps the script's state, so a page that comes back goes on where it was.
    addEventListener("pageshow", (event) => event.persisted && this.onVisibility());
    void this.poll();
  }

  /** Shows another range at once, dropping the answer that is under way. Works while paused, too. */
  setRange(range: string): void {
    this.range = range;
    this.failures = 0;
    void this.poll();
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
    clearTimeout(this.timer);
    if (paused) this.enter("paused", "");
    else void this.poll();
  }

  private onVisibility(): void {
    clearTimeout(this.timer);
    if (document.hidden) {
      this.abort();
      return;
    }
    if (!this.paused && this.state !== "ended") this.schedule(this.lastAt / 1000 + this.waitS() - Date.now() / 1000);
  }

  private abort(): void {
    this.request?.abort();
    this.request = null;
  }

  private waitS(): number {
    return Math.min(LONGEST_WAIT_S, this.pollS * 2 ** Math.min(this.failures, 5));
  }

  private schedule(seconds: number): void {
    clearTimeout(this.timer);
    if (this.paused || document.hidden || this.state === "ended") return;
    this.timer = setTimeout(() => void this.poll(), Math.max(0, seconds * 1000));
  }

  private enter(state: State, detail: string): void {
    this.state = state;
    this.listener.state(state, detail);
  }

  private async poll(): Promise<void> {
    clearTimeout(this.timer);
    this.abort();
    const request = new AbortController();
    this.request = request;
    this.lastAt = Date.now();
    try {
      const response = await fetch(`${this.url}?range=${encodeURIComponent(this.range)}`, {
        credentials: "same-origin",
        headers: { Accept: "application/json" },
        // A redirect is the way to a login page: it must not be taken for data.
        redirect: "manual",
        signal: request.signal,
      });
      if (response.type === "opaqueredirect" || response.status === 401 || response.status === 403) {
        return this.enter("ended", "");
      }
      const payload = (await response.json()) as Payload & { error?: string };
      if (!response.ok) throw new Error(payload.error ?? `The server answered ${response.status}.`);
      if (request.signal.aborted) return;
      this.failures = 0;
      this.pollS = payload.poll_s;
      this.listener.data(payload);
      this.enter(this.paused ? "paused" : "live", "");
    } catch (error) {
      if (request.signal.aborted) return;
      this.failures += 1;
      this.enter("retrying", error instanceof Error && !(error instanceof TypeError) ? error.message : "");
    } finally {
      if (this.request === request) this.request = null;
    }
    this.schedule(this.waitS());
  }
}
