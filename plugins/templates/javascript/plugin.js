// Marks paid orders that come with a note of the buyer, so that nobody packs them unread.
import { write as log } from "fangshi:host/log@0.1.0";
import { get as setting } from "fangshi:host/settings@0.1.0";
import { setMerchantNotes } from "fangshi:store/notes@0.1.0";
import { customerNotes, merchantNotes } from "fangshi:store/order-summary@0.1.0";
import { MARK, wantedNote } from "./note.js";

const INFO = 1;

// Reads what it needs, decides, writes. An event may come twice and an attempt may be repeated: the second one finds
// nothing to do.
export function onPay(event, order) {
  const text = wantedNote(customerNotes(order), merchantNotes(order), setting("mark") ?? MARK);
  if (text === null) {
    log(INFO, "nothing to do");
    return;
  }
  setMerchantNotes(event.orderId(), text);
  log(INFO, "marked");
}
