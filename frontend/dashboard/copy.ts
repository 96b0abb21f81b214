/** Buttons that copy the code before them. They are hidden in the page as it comes, for readers without a script. */

const SHOWN_MS = 2000;

export function offerCopies(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    const code = button.previousElementSibling;
    if (!code) continue;
    button.hidden = false;
    let timer = 0;
    button.addEventListener("click", () => {
      void copy(code).then((done) => {
        button.textContent = done ? "Copied" : "Press Ctrl+C";
        clearTimeout(timer);
        timer = window.setTimeout(() => (button.textContent = "Copy"), SHOWN_MS);
      });
    });
  }
}

/** Copies the text, or selects it where the browser gives no clipboard to a page that came by plain http. */
async function copy(code: Element): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(code);
    return false;
  }
}
