//! Virtual numbers (page 3.3 and 5.4): given by decoding, for 30 days, with the real number's last four digits as
//! extension; extended in the last 7 days; given once more after expiry. And the way to the real number.

use serde_json::{Value, json};

use crate::message::OrderEvent;
use crate::orders::address::mask_phone;
use crate::orders::chart;
use crate::orders::order::{Audit, Order};
use crate::refusal::Refusal;
use crate::state::State;

/// Extensions are possible this long before expiry.
const LAST_DAYS_S: i64 = 7 * 86_400;

/// A number as `decodesensitiveinfo` tells it.
pub(crate) struct Number {
    pub virtual_number: String,
    pub extension: String,
    pub expiration: i64,
    pub delays: i64,
}

/// The order's virtual number, expired or not.
pub(crate) fn of(order: &Order) -> Option<Number> {
    let info = &order.doc["order_detail"]["delivery_info"]["address_info"]["tel_number_ext_info"];
    let (main, extension) = info["virtual_tel_number"].as_str()?.split_once('-')?;
    Some(Number {
        virtual_number: main.to_owned(),
        extension: extension.to_owned(),
        expiration: info["virtual_tel_expire_time"].as_i64().unwrap_or(0),
        delays: info["has_delay_times"].as_i64().unwrap_or(0),
    })
}

impl State {
    /// Gives a number if the shop is in the rollout and the order has none; type 5 follows.
    pub(crate) fn allocate_number(&mut self, id: &str, now_ms: i64) -> Result<bool, Refusal> {
        let order = self.order(id)?;
        let shippable = matches!(order.status(), chart::TO_SHIP | chart::PARTLY_SHIPPED | chart::SHIPPED);
        let (appid, wanted) = (order.appid.clone(), shippable && order.deliver_method() == 0 && of(order).is_none());
        let rollout = self.shops.get(&appid).is_some_and(|shop| shop.virtual_numbers);
        if !wanted || !rollout {
            return Ok(false);
        }
        self.give_number(id, now_ms)?;
        Ok(true)
    }

    fn give_number(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let drawn = format!("184{}", self.dice.digits(8));
        let expiration = now_ms / 1000 + self.settings.virtual_number_life_s;
        let order = self.order(id)?;
        let main = order.next_main_number.take().unwrap_or(drawn);
        let phone = &order.address.tel_number;
        let extension: String = phone.chars().skip(phone.chars().count().saturating_sub(4)).collect();
        let masked = mask_phone(phone);
        let info = order.address_info();
        info["tel_number_ext_info"] = json!({
            "real_tel_number": masked, "virtual_tel_number": format!("{main}-{extension}"),
            "virtual_tel_expire_time": expiration, "has_delay_times": 0,
        });
        info["use_tel_number"] = json!(1);
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type: 5 }, now_ms);
        Ok(())
    }

    /// A second number after the first expired, once an order.
    pub(crate) fn give_number_again(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        let number = of(order).ok_or_else(|| Refusal::not_now("the order has no virtual number"))?;
        if now_ms / 1000 < number.expiration {
            return Err(Refusal::not_now("the virtual number has not expired"));
        }
        if order.applied_again {
            return Err(Refusal::not_now("a virtual number was applied for again already"));
        }
        order.applied_again = true;
        self.give_number(id, now_ms)
    }

    /// Extends a number. `has_delay_times` must be what getorder shows, so that no extension happens twice.
    pub(crate) fn delay_number(&mut self, id: &str, has_delay_times: i64, now_ms: i64) -> Result<Number, Refusal> {
        let now_s = now_ms / 1000;
        let (life_s, most) = (self.settings.virtual_number_life_s, self.settings.max_extensions);
        let order = self.order(id)?;
        let number = of(order).ok_or_else(|| Refusal::not_now("the order has no virtual number"))?;
        if has_delay_times != number.delays {
            return Err(Refusal::not_now("has_delay_times is not the current one"));
        }
        if number.delays >= most {
            return Err(Refusal::not_now("no extension is left"));
        }
        if now_s >= number.expiration || now_s < number.expiration - LAST_DAYS_S {
            return Err(Refusal::not_now("only within the last 7 days before expiry"));
        }
        let info = &mut order.address_info()["tel_number_ext_info"];
        info["virtual_tel_expire_time"] = json!(number.expiration + life_s);
        info["has_delay_times"] = json!(number.delays + 1);
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type: 5 }, now_ms);
        Ok(Number { expiration: number.expiration + life_s, delays: number.delays + 1, ..number })
    }

    /// The number's time is over now.
    pub(crate) fn expire_number(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        of(order).ok_or_else(|| Refusal::not_now("the order has no virtual number"))?;
        order.address_info()["tel_number_ext_info"]["virtual_tel_expire_time"] = json!(now_ms / 1000);
        order.touch(now_ms);
        Ok(())
    }

    /// The merchant applies to see the real number.
    pub(crate) fn apply_real_number(&mut self, id: &str, reason: &str, now_ms: i64) -> Result<i64, Refusal> {
        let task_id = 1_000_000 + i64::try_from(self.dice.below(1_000_000)).unwrap_or(0);
        let order = self.order(id)?;
        of(order).ok_or_else(|| Refusal::not_now("the order uses no virtual number"))?;
        if order.audit.as_ref().is_some_and(|audit| audit.state != 2) {
            return Err(Refusal::not_now("an application is pending or approved already"));
        }
        order.audit = Some(Audit { apply_time_ms: now_ms, state: 1, reason: reason.to_owned(), task_id });
        Ok(task_id)
    }

    /// The platform decides: type 13, and if approved the real number shows in getorder.
    pub(crate) fn audit_real_number(&mut self, id: &str, approve: bool, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        let phone = order.address.tel_number.clone();
        let audit =
            order.audit.as_mut().filter(|a| a.state == 1).ok_or_else(|| Refusal::not_now("no application waits"))?;
        audit.state = if approve { 3 } else { 2 };
        if approve {
            order.address_info()["tel_number"] = Value::from(phone);
        }
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type: 13 }, now_ms);
        Ok(())
    }
}
