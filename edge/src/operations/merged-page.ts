export interface SortedList<Item> {
  /** The first items of the list. */
  readonly tasks: readonly Item[];
  /** Returns the items that follow a given one. */
  readonly more: (last: Item) => Promise<readonly Item[]>;
}

export interface MergedPageOptions<Item> {
  readonly offset: number;
  readonly limit: number;
  /** The number of items that a list returns at a time. A list returns fewer only at its end. */
  readonly share: number;
  readonly compare: (a: Item, b: Item) => number;
}

/** Returns one page of several sorted lists as if they were one list. At most a share of each list is in memory at a time,
 * however many items come before the page.
 */
export async function mergedPage<Item>(
  lists: readonly SortedList<Item>[],
  { offset, limit, share, compare }: MergedPageOptions<Item>,
): Promise<Item[]> {
  const heads = lists.map(({ tasks, more }) => ({ tasks, more, next: 0 })).filter(({ tasks }) => tasks.length > 0);
  type Head = (typeof heads)[number];
  // SAFETY: lists that have ended are removed, so each head has an item.
  const headOf = ({ tasks, next }: Head): Item => tasks[next] as Item;
  heads.sort((a, b) => compare(headOf(a), headOf(b)));
  const insert = (head: Head): void => {
    let [low, high] = [0, heads.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(headOf(heads[middle] as Head), headOf(head)) < 0) low = middle + 1;
      else high = middle;
    }
    heads.splice(low, 0, head);
  };
  const page: Item[] = [];
  for (let passed = 0; page.length < limit; passed += 1) {
    const head = heads.shift();
    if (head === undefined) break;
    const item = headOf(head);
    if (passed >= offset) page.push(item);
    head.next += 1;
    if (head.next === head.tasks.length) {
      head.tasks = head.tasks.length === share ? await head.more(item) : [];
      head.next = 0;
    }
    if (head.tasks.length > 0) insert(head);
  }
  return page;
}
