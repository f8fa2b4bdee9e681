"""Says what it is told, what time it is and what the dice show, and sets a note. The setting `try` asks for more."""

import random
import socket
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import errors, log, notes, order_price, outcomes, settings


def say(text: str) -> None:
    log.write(1, text)


class OnPay(exports.OnPay):
    def handle(self, event, order, pay) -> None:
        say(f"paid {event.order_id()} {pay.pay_time}")
        say(f"price {order_price.price(order).order_price}")
        say(f"time {time.time():.3f}")
        say(f"random {random.random()} {random.random()}")
        print("printed 打印")
        try:
            notes.set_merchant_notes(event.order_id(), "备注")
            say("noted")
        except Err as refused:
            assert isinstance(refused.value, errors.Error_Conflict)
            say(f"conflict {refused.value.value}")
        match settings.get("try"):
            case "file":
                try:
                    open("/etc/passwd")
                except OSError as refused:
                    say(f"file {refused}")
            case "socket":
                socket.socket().connect(("192.0.2.1", 443))
            case "sleep":
                before = time.monotonic()
                time.sleep(3600)
                say(f"slept {time.monotonic() - before:.0f} {time.time():.3f}")
            case "reject":
                raise Err(outcomes.Failure_Reject("不要"))
            case "crash":
                raise ValueError("broken")
