/**
 * Makes an element. Everything foreign goes in as text, never as HTML.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string | Node | readonly (string | Node)[]} content
 * @param {string} className
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, content = [], className = "") {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...[content].flat());
  return made;
}

/**
 * The element that a page surely has.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}.`);
  return found;
}
