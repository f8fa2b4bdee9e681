//! The two real orders of December 2025: one whose virtual number changed before it was shipped, one that never
//! got a virtual number.

use serde_json::{Value, json};

use crate::orders::address::Address;
use crate::platform::{Platform, PlatformError};
use crate::steps::Step;

/// The order with a virtual number.
pub const FIRST: &str = "3732676853715311104";
/// The order that was (probably) never decoded. Only its id is real; the rest is made after the first.
pub const SECOND: &str = "3732679488426088960";
/// When the first was paid: 2025-12-02 10:26:43 +08:00.
pub const PAID_AT: i64 = 1_764_642_403;
/// When its virtual number was allocated: exactly 30 days before the expiry that getorder shows.
pub const NUMBER_AT: i64 = 1_764_649_651;
/// When it was shipped.
pub const SHIPPED_AT: i64 = 1_764_656_486;

const BEFORE: &str = include_str!("../fixtures/getorder-before.json");
const AFTER: &str = include_str!("../fixtures/getorder-after.json");

/// getorder's answer for the first order at 10:26:44, paid and not yet shipped.
pub fn before() -> Value {
    serde_json::from_str(BEFORE).unwrap_or_default()
}

/// getorder's answer for the first order at 14:21:27, shipped.
pub fn after() -> Value {
    serde_json::from_str(AFTER).unwrap_or_default()
}

/// The recipient in clear. Invented, but for what the mask shows.
pub fn recipient() -> Address {
    Address { user_name: "杨小坊".to_owned(), tel_number: "13900000775".to_owned(), ..Address::default() }
}

impl Platform {
    /// Loads both orders into a shop, paid and unshipped, without events.
    pub fn load_real_orders(&self, appid: &str) -> Result<(), PlatformError> {
        let first = before()["order"].clone();
        let mut second = first.clone();
        second["order_id"] = json!(SECOND);
        second["openid"] = json!("oWRGA7fangshi0second0order00");
        for product in second["order_detail"]["product_infos"].as_array_mut().into_iter().flatten() {
            product["product_unique_id"] = json!(format!("{SECOND}_001"));
        }
        second["order_detail"]["delivery_info"]["address_info"]["hash_code"] = json!(recipient().hash_code(appid));
        self.load_order(appid, first, recipient())?;
        self.preset_virtual_number(FIRST, "18400984191")?;
        self.load_order(appid, second, recipient())?;
        Ok(())
    }

    /// Plays the first order's life from paid to shipped at its real times, if the platform's time is not past them:
    /// the number (type 5) two hours before shipping, then the shipment. The order then equals the second payload.
    ///
    /// With time past them, the steps happen now and only the times differ.
    pub async fn play_first_real_order(&self) -> Result<(), PlatformError> {
        self.advance_to(NUMBER_AT).await;
        self.drive(FIRST, Step::AllocateNumber)?;
        self.quiet().await;
        self.advance_to(SHIPPED_AT).await;
        self.drive(FIRST, Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF3262259346637".to_owned() })?;
        self.quiet().await;
        Ok(())
    }

    /// Ships the second without anybody decoding it: no type 5 comes.
    pub async fn play_second_real_order(&self) -> Result<(), PlatformError> {
        self.drive(SECOND, Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF3262259350000".to_owned() })?;
        self.quiet().await;
        Ok(())
    }
}
