//! What happened to an order, in the words of the eight events (platform page, section 3.2).

/// One event that a reading can show. Those of an ext_info_update that leave no trace in getorder (7, 17, 18, 21 to 23)
/// can't be found by reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Placed.
    New,
    /// Cancelled: 3 all items refunded, 4 oversold, 0 if the order does not tell by whom.
    Cancel(i64),
    /// Paid, unix seconds.
    Pay(i64),
    /// Ready to be shipped.
    WaitShipping,
    /// Shipped: partly, or completely.
    Deliver {
        /// Whether nothing is left to ship.
        complete: bool,
    },
    /// Received. By whom is not in getorder.
    Confirm,
    /// Settled, unix seconds.
    Settle(i64),
    /// Something else, with its `type`.
    Ext(i64),
}

/// `type` of an address change by the merchant or through a buyer's request.
pub(crate) const ADDRESS: i64 = 2;
/// Types of address changes: getorder does not tell whose it was.
const ADDRESSES: [i64; 3] = [ADDRESS, 16, 19];

impl Word {
    /// The platform's Event.
    pub fn event(self) -> &'static str {
        match self {
            Word::New => "channels_ec_order_new",
            Word::Cancel(_) => "channels_ec_order_cancel",
            Word::Pay(_) => "channels_ec_order_pay",
            Word::WaitShipping => "channels_ec_order_wait_shipping",
            Word::Deliver { .. } => "channels_ec_order_deliver",
            Word::Confirm => "channels_ec_order_confirm",
            Word::Settle(_) => "channels_ec_order_settle",
            Word::Ext(_) => "channels_ec_order_ext_info_update",
        }
    }

    /// `type` of ext_info_update.
    pub fn ext_type(self) -> Option<i64> {
        match self {
            Word::Ext(ext_type) => Some(ext_type),
            _ => None,
        }
    }

    /// The member of `order_info` beside `order_id`.
    pub fn member(self) -> Option<(&'static str, i64)> {
        match self {
            Word::New | Word::WaitShipping => None,
            Word::Cancel(cancel_type) => Some(("cancel_type", cancel_type)),
            Word::Pay(pay_time) => Some(("pay_time", pay_time)),
            Word::Deliver { complete } => Some(("finish_delivery", i64::from(complete))),
            Word::Confirm => Some(("confirm_type", 0)),
            Word::Settle(settle_time) => Some(("settle_time", settle_time)),
            Word::Ext(ext_type) => Some(("type", ext_type)),
        }
    }

    /// Whether a callback with these members announces it. `complete`: `finish_delivery` of a shipment, where it tells.
    pub fn is_announced_by(self, event: &str, ext_type: Option<i64>, complete: Option<bool>) -> bool {
        event == self.event()
            && match self {
                Word::Ext(ADDRESS) => ext_type.is_some_and(|told| ADDRESSES.contains(&told)),
                Word::Ext(own) => ext_type == Some(own),
                Word::Deliver { complete: own } => complete.is_none_or(|told| told == own),
                _ => true,
            }
    }

    /// Where it stands among what happened in the same second.
    pub(super) fn rank(self) -> u8 {
        match self {
            Word::New => 0,
            Word::Ext(12) => 1,
            Word::Pay(_) => 2,
            Word::WaitShipping => 3,
            Word::Ext(_) => 4,
            Word::Deliver { complete: false } => 5,
            Word::Deliver { complete: true } => 6,
            Word::Confirm => 7,
            Word::Settle(_) => 8,
            Word::Cancel(_) => 9,
        }
    }
}
