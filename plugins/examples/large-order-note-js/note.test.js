import assert from "node:assert/strict";
import { test } from "node:test";
import { MARK, integer, wantedNote } from "./note.js";

test("large orders are marked from the threshold on", () => {
  assert.equal(wantedNote(38_800, 38_800, "", MARK), MARK);
  assert.equal(wantedNote(38_799, 38_800, "", MARK), null);
});

test("what a person wrote stays, and a repeated event changes nothing", () => {
  const once = wantedNote(500_000, 1, "周末送 \n", MARK);
  assert.equal(once, "周末送；大额订单");
  assert.equal(wantedNote(500_000, 1, once, MARK), null);
  assert.equal(wantedNote(500_000, 1, "", ""), null);
});

test("a setting is an integer or a rejection that names it", () => {
  assert.equal(integer("threshold", null, 7), 7);
  assert.equal(integer("threshold", " 30000", 7), 30_000);
  for (const wrong of ["300.5", "1e5", "", "0x10", "9007199254740993", "\"3\""]) {
    assert.throws(() => integer("threshold", wrong, 7), (thrown) => thrown.tag === "reject" && /threshold/.test(thrown.val), wrong);
  }
});
