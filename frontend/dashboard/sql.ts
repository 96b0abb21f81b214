/** Makes statements readable: a gist for the closed row, and key words set apart by one cheap regular expression. */
import { h } from "./dom";

const WORDS =
  /\b(SELECT|DISTINCT|FROM|WHERE|AND|OR|NOT|IN|IS|NULL|LIKE|ILIKE|BETWEEN|EXISTS|CASE|WHEN|THEN|ELSE|END|AS|ON|USING|INNER|LEFT|RIGHT|OUTER|CROSS|JOIN|GROUP BY|ORDER BY|HAVING|LIMIT|OFFSET|ASC|DESC|UNION|ALL|INSERT INTO|INSERT|VALUES|UPDATE|SET|DELETE|RETURNING|COUNT|SUM|AVG|MIN|MAX|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/g;
const LONGEST = 4000;

const LONG_LIST = 40;
// A command of MongoDB's: database, collection and command, then its outline.
const COMMAND = /^[\w-]+\.(?=[\w.-]+\.\w+(?:[[{]|$))/;

/**
 * A statement without what hides its point: the list of columns, the quotes, the table's name before each column where
 * there is only one table, and the database's name before a collection. For reading only; the whole statement is one click away.
 */
export function gist(text: string): string {
  let short = text;
  const select = /^SELECT (DISTINCT )?/.exec(text);
  if (select) {
    const from = text.indexOf(" FROM ");
    if (from - select[0].length > LONG_LIST) short = `${select[0]}…${text.slice(from)}`;
  }
  short = short.replace(COMMAND, "");
  const single = !/\bJOIN\b/.test(short);
  return short
    .replace(/["`](\w+)["`]\.["`](\w+)["`]/g, single ? "$2" : "$1.$2")
    .replace(/["`](\w+)["`]/g, "$1");
}

export function paintSql(target: HTMLElement, text: string): void {
  if (text.length > LONGEST) {
    target.textContent = text;
    return;
  }
  const parts: (Node | string)[] = [];
  let from = 0;
  for (const match of text.matchAll(WORDS)) {
    if (match.index > from) parts.push(text.slice(from, match.index));
    parts.push(h("span", { class: "ps-keyword" }, match[0]));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  target.replaceChildren(...parts);
}
