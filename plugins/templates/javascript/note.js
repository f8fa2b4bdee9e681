// What the plugin decides, without the contract: so that `node --test` covers it on any machine.

/** The mark, unless the setting `mark` says otherwise. */
export const MARK = "有买家留言";

const BETWEEN = "；";

/** The note that the order should get; null if the buyer wrote nothing or the order is marked already. */
export function wantedNote(ofTheBuyer, present, mark) {
  if (ofTheBuyer.trim() === "" || mark === "" || present.includes(mark)) return null;
  const kept = present.trimEnd();
  return kept === "" ? mark : `${kept}${BETWEEN}${mark}`;
}
