// Says what it is told, what time it is and what the dice show, and sets a note. The setting `try` asks for more.
import { write } from "fangshi:host/log@0.1.0";
import { get as setting } from "fangshi:host/settings@0.1.0";
import { setMerchantNotes } from "fangshi:store/notes@0.1.0";
import { price } from "fangshi:store/order-price@0.1.0";

const say = (text) => write(1, text);

export const onPay = {
  handle(event, order, pay) {
    say(`paid ${event.orderId()} ${pay.payTime}`);
    say(`price ${price(order).orderPrice}`);
    say(`time ${(Date.now() / 1000).toFixed(3)}`);
    say(`random ${Math.random()} ${Math.random()}`);
    console.log("printed 打印");
    try {
      setMerchantNotes(event.orderId(), "备注");
      say("noted");
    } catch (refused) {
      say(`${refused.payload.tag} ${refused.payload.val}`);
    }
    switch (setting("try")) {
      case "file":
        try {
          require("node:fs").readFileSync("/etc/passwd");
        } catch (refused) {
          say(`file ${refused}`);
        }
        break;
      case "socket":
        try {
          fetch("https://192.0.2.1/");
        } catch (refused) {
          say(`socket ${refused}`);
        }
        break;
      case "reject":
        throw { tag: "reject", val: "不要" };
      case "crash":
        throw new Error("broken");
    }
  },
};
