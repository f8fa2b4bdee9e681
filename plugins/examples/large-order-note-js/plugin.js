// Marks large paid orders with a merchant note: the Rust example of the same name, in JavaScript.
import { write as log } from "fangshi:host/log@0.1.0";
import { get as setting } from "fangshi:host/settings@0.1.0";
import { setMerchantNotes } from "fangshi:store/notes@0.1.0";
import { price } from "fangshi:store/order-price@0.1.0";
import { merchantNotes } from "fangshi:store/order-summary@0.1.0";
import { MARK, THRESHOLD, integer, wantedNote } from "./note.js";

const INFO = 1;

export function onPay(event, order) {
  const total = price(order).orderPrice;
  const threshold = integer("threshold", setting("threshold"), THRESHOLD);
  const text = wantedNote(total, threshold, merchantNotes(order), setting("mark") ?? MARK);
  if (text === null) {
    log(INFO, `${total} 分, threshold ${threshold}: nothing to do`);
    return;
  }
  setMerchantNotes(event.orderId(), text);
  log(INFO, `${total} 分 of at least ${threshold}: marked`);
}
