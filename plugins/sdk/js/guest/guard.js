// Around every hook: whatever is thrown becomes the hook's outcome, for an exception that nobody catches is a trap
// without a word.

const RETRY = {
  limited: (after) => ["limited by the platform or a quota", after ?? null],
  unavailable: (text) => [`unavailable: ${text}`, null],
  conflict: (text) => [`the order's state forbids it now: ${text}`, null],
};

const REJECT = {
  denied: (text) => `denied: ${text}`,
  invalid: (text) => `invalid request: ${text}`,
  "not-found": () => "not found in this shop",
  "outcome-unknown": (text) => `outcome unknown, look at the order: ${text}`,
  platform: (refusal) => `refused by the platform (${refusal?.code}): ${refusal?.message}`,
};

const retryLater = (reason, afterSeconds) => ({ tag: "retry-later", val: { reason, afterSeconds } });

/** The outcome of what was thrown: the contract's errors as in the Rust SDK, own outcomes as they are, else a retry. */
export function failureOf(thrown) {
  const { tag, val } = thrown?.payload ?? thrown ?? {};
  if (tag === "retry-later") return retryLater(String(val?.reason ?? ""), val?.afterSeconds ?? null);
  if (tag === "reject") return { tag, val: String(val) };
  if (Object.hasOwn(RETRY, tag ?? "")) return retryLater(...RETRY[tag](val));
  if (Object.hasOwn(REJECT, tag ?? "")) return { tag: "reject", val: REJECT[tag](val) };
  const place = String(thrown?.stack ?? "").trim().split("\n")[0].trim();
  return retryLater(`${thrown} ${place}`.trim(), null);
}

/** The hook as the contract wants it. */
export function guard(hook) {
  return (...members) => {
    let answer;
    try {
      answer = hook(...members);
    } catch (thrown) {
      throw failureOf(thrown);
    }
    if (typeof answer?.then === "function") throw { tag: "reject", val: "a hook can't be async: nothing waits for it" };
  };
}
