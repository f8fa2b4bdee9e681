import assert from "node:assert/strict";
import { test } from "node:test";
import { MARK, wantedNote } from "./note.js";

test("an order with a note of the buyer is marked, and what stood there stays", () => {
  assert.equal(wantedNote("周末送", "", MARK), MARK);
  assert.equal(wantedNote("周末送", "已电话确认", MARK), "已电话确认；有买家留言");
  assert.equal(wantedNote(" \n", "已电话确认", MARK), null);
  assert.equal(wantedNote("周末送", "", ""), null);
});

test("a repeated event or attempt changes nothing", () => {
  const once = wantedNote("周末送", "", MARK);
  assert.equal(wantedNote("周末送", once, MARK), null);
});
