// What the plugin decides, without the contract: so that it can be tested anywhere.

/** 分; from here on an order is large, unless the setting says otherwise. */
export const THRESHOLD = 100_000;
/** The mark, unless the setting says otherwise. */
export const MARK = "大额订单";

const BETWEEN = "；";

/** The note that the order should get; null if the order is small or marked already. */
export function wantedNote(total, threshold, present, mark) {
  if (total < threshold || mark === "" || present.includes(mark)) return null;
  const kept = present.trimEnd();
  return kept === "" ? mark : `${kept}${BETWEEN}${mark}`;
}

/** An integer setting, or the default; a wrong one rejects the event and names the setting. */
export function integer(name, text, fallback) {
  if (text === null) return fallback;
  if (!/^\s*[+-]?\d+\s*$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw { tag: "reject", val: `setting ${name}: an integer is expected` };
  }
  return Number(text);
}
