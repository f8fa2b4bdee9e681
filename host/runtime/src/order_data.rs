//! Where each function of the order data groups finds its value in the order's JSON (platform page, section 5).
//!
//! Two small tables: [`ROWS`] says which part of the order a function hands out, [`PLACES`] where a record's member lies
//! if not under its own name. What the platform leaves out becomes empty, 0 or false; a value that is there but can't be
//! what the contract says (a word for a price) ends the run as a fault of the host instead of becoming a 0.

use std::borrow::Cow;

use serde_json::Value;

use crate::convert::ELEMENT_BYTES;

/// One function of an order data group.
pub(crate) struct Row {
    pub interface: &'static str,
    pub function: &'static str,
    pub select: Select,
}

/// Which part of an order a function hands out.
pub(crate) enum Select {
    /// The value at a path; the empty path is the order itself.
    At(&'static str),
    /// The value at a path, or none where the platform has nothing to say (absent, empty, 0).
    Given(&'static str),
    /// The order itself if one of these paths is given, else none.
    OrderIf(&'static [&'static str]),
    /// Of each element of the list at the first path, what lies at the second, where it is given; lists there are joined.
    Each(&'static str, &'static str),
    /// The same where 0 is an answer as well: left out is what is absent or empty.
    EachTold(&'static str, &'static str),
    /// In the list at the first path, the element whose member (second) equals the function's text argument; of it the
    /// third path.
    Of(&'static str, &'static str, &'static str),
    /// The order as JSON text.
    Json,
}

/// What was selected.
pub(crate) enum Selected<'a> {
    One(Option<&'a Value>),
    /// Elements, each with the element of the outer list it came from.
    Many(Vec<(&'a Value, &'a Value)>),
    Text(String),
}

use Select::{At, Each, EachTold, Given, Json, Of, OrderIf};

const PRODUCTS: &str = "order_detail.product_infos";
const ADDRESS: &str = "order_detail.delivery_info.address_info";
const UNDER_REVIEW: &str = "order_detail.delivery_info.address_under_review";

const fn row(interface: &'static str, function: &'static str, select: Select) -> Row {
    Row { interface, function, select }
}

/// Every function of every order data group.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("order-summary", "summary", At("")),
    row("order-summary", "merchant-notes", At("order_detail.ext_info.merchant_notes")),
    row("order-summary", "customer-notes", At("order_detail.ext_info.customer_notes")),
    row("order-summary", "confirm-receipt-time", Given("order_detail.ext_info.confirm_receipt_time")),
    row("order-summary", "aftersale-order-ids", Each("aftersale_detail.aftersale_order_list", "aftersale_order_id")),
    row("order-summary", "commission-handling-progress", At("order_detail.ext_info.commission_handling_progress")),

    row("order-items", "items", Each(PRODUCTS, "")),
    row("order-items", "attributes", Of(PRODUCTS, "product_unique_id", "sku_attrs")),
    row("order-items", "sku-changes", Each(PRODUCTS, "change_sku_info")),
    row("order-items", "coupons", Each(PRODUCTS, "order_product_coupon_info_list")),
    row("order-items", "thumb-img", Of(PRODUCTS, "product_unique_id", "thumb_img")),
    row("order-items", "line-discounts", Each(PRODUCTS, "")),
    row("order-items", "extra-services", EachTold(PRODUCTS, "extra_service")),

    row("order-price", "price", At("order_detail.price_info")),
    row("order-price", "commissions", Each("order_detail.commission_infos", "")),
    row("order-price", "settlement", At("order_detail.settle_info")),

    row("order-payment", "payment", At("order_detail.pay_info")),
    row("order-payment", "openid", At("openid")),
    row("order-payment", "unionid", Given("unionid")),

    row("order-delivery", "parcels", Each("order_detail.delivery_info.delivery_product_info", "")),
    row("order-delivery", "delivery", At("order_detail.delivery_info")),

    row("order-address", "address", At(ADDRESS)),
    row("order-address", "address-under-review", Given(UNDER_REVIEW)),
    row("order-address", "address-apply-time", Given("order_detail.delivery_info.address_apply_time")),

    row("order-phone", "phone", At(ADDRESS)),
    row("order-phone", "virtual-number", Given("order_detail.delivery_info.address_info.tel_number_ext_info")),
    row("order-phone", "phone-under-review", Given(UNDER_REVIEW)),

    row("order-present", "present", OrderIf(&[
        "is_present", "order_present_info", "present_order_id_str", "present_order_id",
    ])),

    row("order-raw", "json", Json),
];

/// Places of one record member that does not lie under its own name, or not only there. A leading `^` starts at the
/// element of the list that holds the object.
pub(crate) struct Places {
    pub interface: &'static str,
    pub record: &'static str,
    pub field: &'static str,
    pub places: &'static [&'static str],
}

const fn at(
    interface: &'static str,
    record: &'static str,
    field: &'static str,
    places: &'static [&'static str],
) -> Places {
    Places { interface, record, field, places }
}

/// Every member that is looked for elsewhere.
#[rustfmt::skip]
pub(crate) const PLACES: &[Places] = &[
    at("order-summary", "state", "order-scene", &["order_detail.ext_info.order_scene"]),
    at("order-summary", "state", "on-aftersale-order-cnt", &["aftersale_detail.on_aftersale_order_cnt"]),

    at("order-items", "item", "stock-type", &["sku_deliver_info.stock_type"]),
    at("order-items", "sku-change", "product-unique-id", &["^product_unique_id"]),
    at("order-items", "coupon", "product-unique-id", &["^product_unique_id"]),
    at("order-items", "extra-service", "product-unique-id", &["^product_unique_id"]),

    // The platform spells it so; the right spelling is there in case it learns.
    at("order-price", "price-info", "merchant-receive-price", &["merchant_receieve_price", "merchant_receive_price"]),

    at("order-delivery", "delivery-info", "inspect-status", &["quality_inspect_info.inspect_status"]),

    // The older name of the same count.
    at("order-phone", "tel-number-ext-info", "has-delay-times", &["has_delay_times", "get_virtual_tel_cnt"]),

    // Newer orders have an object of their own; the order's own members are older. The id as a number is dead.
    at("order-present", "order-present-info", "present-order-id", &[
        "order_present_info.present_order_id_str", "present_order_id_str",
        "order_present_info.present_order_id", "present_order_id",
    ]),
    at("order-present", "order-present-info", "present-note", &["order_present_info.present_note", "present_note"]),
    at("order-present", "order-present-info", "present-giver-openid", &[
        "order_present_info.present_giver_openid", "present_giver_openid",
    ]),
    at("order-present", "order-present-info", "present-giver-unionid", &[
        "order_present_info.present_giver_unionid", "present_giver_unionid",
    ]),
    at("order-present", "order-present-info", "present-send-type", &[
        "order_present_info.present_send_type", "present_send_type",
    ]),
    at("order-present", "order-present-info", "is-b2c-free-present", &[
        "order_present_info.is_b2c_free_present", "is_b2c_free_present",
    ]),
];

/// Where a record's member lies, if not under its own name.
pub(crate) fn places(interface: &str, record: &str, field: &str) -> Option<&'static [&'static str]> {
    let found = PLACES.iter().find(|row| row.interface == interface && row.record == record && row.field == field);
    found.map(|row| row.places)
}

/// The select of a function.
pub(crate) fn find(interface: &str, function: &str) -> Option<&'static Select> {
    ROWS.iter().find(|row| row.interface == interface && row.function == function).map(|row| &row.select)
}

impl Select {
    /// Picks the part out of an order. `argument` is the function's text parameter, where it has one. Adds to `bytes` for each
    /// element of a list that is looked at, whether anything of it is handed out or not.
    pub fn pick<'a>(&self, order: &'a Value, argument: Option<&str>, bytes: &mut u64) -> Selected<'a> {
        match self {
            At(path) => Selected::One(walk(order, path)),
            Given(path) => Selected::One(walk(order, path).filter(|value| given(value))),
            OrderIf(paths) => {
                let any = paths.iter().any(|path| walk(order, path).is_some_and(given));
                Selected::One(any.then_some(order))
            }
            Each(list, then) | EachTold(list, then) => {
                let zero_is_told = matches!(self, EachTold(..));
                let mut found = Vec::new();
                for outer in walk(order, list).and_then(Value::as_array).into_iter().flatten() {
                    *bytes += ELEMENT_BYTES;
                    match walk(outer, then) {
                        Some(Value::Array(elements)) => {
                            *bytes += elements.len() as u64 * ELEMENT_BYTES;
                            found.extend(elements.iter().map(|value| (value, outer)));
                        }
                        Some(value) if says(value, zero_is_told) => found.push((value, outer)),
                        _ => {}
                    }
                }
                Selected::Many(found)
            }
            Of(list, key, then) => {
                let elements = walk(order, list).and_then(Value::as_array).into_iter().flatten();
                let wanted = argument.unwrap_or_default();
                let mut found = elements.filter(|element| {
                    *bytes += ELEMENT_BYTES;
                    element.get(key).and_then(text).as_deref() == Some(wanted)
                });
                Selected::One(found.next().and_then(|element| walk(element, then)))
            }
            Json => Selected::Text(order.to_string()),
        }
    }
}

fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|step| !step.is_empty()).try_fold(value, |value, step| value.get(step))
}

/// Whether the platform says anything by this value: an object of empty members is none, as an empty text is
/// (platform page, section 5).
fn given(value: &Value) -> bool {
    says(value, false)
}

/// The same where 0 and false may be answers.
fn says(value: &Value, zero_is_told: bool) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => zero_is_told || *flag,
        Value::Number(number) => zero_is_told || number.as_i64() != Some(0),
        Value::String(text) => !text.is_empty() && (zero_is_told || text != "0"),
        Value::Array(elements) => elements.iter().any(|element| says(element, zero_is_told)),
        Value::Object(members) => members.values().any(|member| says(member, zero_is_told)),
    }
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
