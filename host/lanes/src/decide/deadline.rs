//! When the platform decides by itself about what a buyer asked for.

use serde_json::Value;

/// `type` of ext_info_update: the buyer asks for another address (platform page, section 3.3).
const ADDRESS_WISH: i64 = 4;
/// The platform accepts it after this, seconds (platform page, section 4, row 8).
const ADDRESS_WISH_S: i64 = 12 * 3_600;
/// `type` of ext_info_update: the buyer asks for another SKU before shipping.
pub(crate) const SKU_WISH: i64 = 9;

/// The deadline that an event tells by itself, unix milliseconds. `created_at`: its CreateTime, unix seconds.
pub fn address_deadline(ext_type: Option<i64>, created_at: i64) -> Option<i64> {
    (ext_type == Some(ADDRESS_WISH)).then_some(created_at.saturating_add(ADDRESS_WISH_S).saturating_mul(1_000))
}

/// The deadline of a wish for another SKU, unix milliseconds: the earliest `change_sku_info.ddl_time_stamp` of the
/// order's products that is not before the event (platform page, section 5.2). A number or decimal text.
pub fn sku_deadline(order: &Value, created_at: i64) -> Option<i64> {
    let products = order.pointer("/order_detail/product_infos")?.as_array()?;
    products
        .iter()
        .filter_map(|product| {
            let told = product.pointer("/change_sku_info/ddl_time_stamp")?;
            told.as_i64().or_else(|| told.as_str()?.trim().parse().ok())
        })
        .filter(|deadline| *deadline >= created_at)
        .min()
        .map(|deadline| deadline.saturating_mul(1_000))
}

/// What the operator is told of a run that is not done and that the platform does not wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// The deadline is near.
    Near {
        /// Whole minutes until then.
        minutes_left: i64,
    },
    /// The deadline has passed.
    Passed {
        /// Whole minutes since then.
        minutes_ago: i64,
    },
    /// There is a deadline, and the order that tells it can't be read.
    Unknown,
}

impl Alert {
    /// About a deadline; both in unix milliseconds.
    pub fn of(deadline_at: i64, now: i64) -> Alert {
        match deadline_at.saturating_sub(now) {
            left @ 1.. => Alert::Near { minutes_left: left / 60_000 },
            left => Alert::Passed { minutes_ago: left.saturating_neg() / 60_000 },
        }
    }

    /// The label of the counter.
    pub fn kind(self) -> &'static str {
        match self {
            Alert::Near { .. } => "near",
            Alert::Passed { .. } => "passed",
            Alert::Unknown => "unknown",
        }
    }

    /// The sentence for the log.
    pub fn words(self) -> String {
        match self {
            Alert::Near { minutes_left } => {
                format!("the platform decides by itself in {minutes_left} minutes, and the run is not done")
            }
            Alert::Passed { minutes_ago } => {
                format!(
                    "the deadline passed {minutes_ago} minutes ago: the platform has decided by itself, and the run was not done"
                )
            }
            Alert::Unknown => "the platform decides by itself at a time that only the order tells, the order can't be \
                read, and the run is not done"
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_wish_is_accepted_after_twelve_hours_and_no_other_type_has_that() {
        assert_eq!(address_deadline(Some(4), 1_000), Some((1_000 + 43_200) * 1_000));
        assert_eq!(address_deadline(Some(9), 1_000), None);
        assert_eq!(address_deadline(None, 1_000), None);
    }

    #[test]
    fn the_deadline_of_a_sku_is_the_next_one_that_the_order_shows() {
        let order = json!({"order_detail": {"product_infos": [
            {"sku_id": "1"},
            {"sku_id": "2", "change_sku_info": {"ddl_time_stamp": "300"}},
            {"sku_id": "3", "change_sku_info": {"ddl_time_stamp": 200}},
            {"sku_id": "4", "change_sku_info": {"ddl_time_stamp": 50}},
            {"sku_id": "5", "change_sku_info": {"ddl_time_stamp": null}},
        ]}});
        assert_eq!(sku_deadline(&order, 100), Some(200_000));
        assert_eq!(sku_deadline(&order, 250), Some(300_000));
        assert_eq!(sku_deadline(&order, 301), None);
        assert_eq!(sku_deadline(&json!({}), 0), None);
    }

    #[test]
    fn an_alert_says_whether_the_deadline_is_still_to_come() {
        let minute = 60_000;
        assert_eq!(Alert::of(100 * minute, 98 * minute), Alert::Near { minutes_left: 2 });
        assert_eq!(Alert::of(100 * minute, 100 * minute), Alert::Passed { minutes_ago: 0 });
        assert_eq!(Alert::of(100 * minute, 103 * minute), Alert::Passed { minutes_ago: 3 });
        assert!(Alert::of(1, 0).words().contains("decides by itself in 0 minutes"));
        let passed = Alert::of(0, 90 * minute).words();
        assert!(passed.contains("passed 90 minutes ago") && passed.contains("has decided"), "{passed}");
        assert!(Alert::Unknown.words().contains("can't be read"));
    }
}
