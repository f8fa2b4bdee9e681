//! Reading an order: one method a function of the data groups. Calling one asks for the grant that it names.
use crate::{
    Order, order_address, order_delivery, order_items, order_payment, order_phone, order_present, order_price,
    order_raw, order_summary,
};

/// Grant `order-summary`.
impl Order {
    /// State, times and source.
    pub fn summary(&self) -> order_summary::State {
        order_summary::summary(self)
    }

    /// The merchant's note, empty if none.
    pub fn merchant_notes(&self) -> String {
        order_summary::merchant_notes(self)
    }

    /// The buyer's note, empty if none.
    pub fn customer_notes(&self) -> String {
        order_summary::customer_notes(self)
    }

    /// When it was received, unix seconds, where the platform tells.
    pub fn confirm_receipt_time(&self) -> Option<i64> {
        order_summary::confirm_receipt_time(self)
    }

    /// Ids of the after-sale cases.
    pub fn aftersale_order_ids(&self) -> Vec<String> {
        order_summary::aftersale_order_ids(self)
    }

    /// How far the promoters' commissions are worked out, where the platform tells.
    pub fn commission_handling_progress(&self) -> Option<u32> {
        order_summary::commission_handling_progress(self)
    }
}

/// Grant `order-items`.
impl Order {
    /// The lines.
    pub fn items(&self) -> Vec<order_items::Item> {
        order_items::items(self)
    }

    /// The properties of one line, by its `product_unique_id`.
    pub fn attributes(&self, product_unique_id: &str) -> Vec<order_items::Attribute> {
        order_items::attributes(self, product_unique_id)
    }

    /// Open or decided SKU changes.
    pub fn sku_changes(&self) -> Vec<order_items::SkuChange> {
        order_items::sku_changes(self)
    }

    /// Coupons, line by line.
    pub fn coupons(&self) -> Vec<order_items::Coupon> {
        order_items::coupons(self)
    }

    /// Address of a line's picture, by its `product_unique_id`.
    pub fn thumb_img(&self, product_unique_id: &str) -> String {
        order_items::thumb_img(self, product_unique_id)
    }

    /// What each line was expected to cost and what was taken off, 分.
    pub fn line_discounts(&self) -> Vec<order_items::LineDiscount> {
        order_items::line_discounts(self)
    }

    /// Services that come with the lines.
    pub fn extra_services(&self) -> Vec<order_items::ExtraService> {
        order_items::extra_services(self)
    }
}

/// Grant `order-price`.
impl Order {
    /// The sums, 分.
    pub fn price(&self) -> order_price::PriceInfo {
        order_price::price(self)
    }

    /// Promoters' commissions.
    pub fn commissions(&self) -> Vec<order_price::Commission> {
        order_price::commissions(self)
    }

    /// The platform's fees, 分.
    pub fn settlement(&self) -> order_price::SettleInfo {
        order_price::settlement(self)
    }
}

/// Grant `order-payment`.
impl Order {
    /// The payment.
    pub fn payment(&self) -> order_payment::PayInfo {
        order_payment::payment(self)
    }

    /// The buyer's openid; of a gift, the recipient's.
    pub fn openid(&self) -> String {
        order_payment::openid(self)
    }

    /// The buyer's unionid, where the platform tells it.
    pub fn unionid(&self) -> Option<String> {
        order_payment::unionid(self)
    }
}

/// Grant `order-delivery`.
impl Order {
    /// The parcels so far.
    pub fn parcels(&self) -> Vec<order_delivery::Parcel> {
        order_delivery::parcels(self)
    }

    /// Everything else about shipping.
    pub fn delivery(&self) -> order_delivery::DeliveryInfo {
        order_delivery::delivery(self)
    }
}

/// Grant `order-address`: personal data.
impl Order {
    /// The address to ship to, masked unless decoded.
    pub fn address(&self) -> order_address::AddressInfo {
        order_address::address(self)
    }

    /// The address that the buyer asks for, while nobody has decided.
    pub fn address_under_review(&self) -> Option<order_address::AddressInfo> {
        order_address::address_under_review(self)
    }

    /// When the buyer asked, unix seconds.
    pub fn address_apply_time(&self) -> Option<i64> {
        order_address::address_apply_time(self)
    }
}

/// Grant `order-phone`: personal data.
impl Order {
    /// The numbers as the platform shows them.
    pub fn phone(&self) -> order_phone::PhoneInfo {
        order_phone::phone(self)
    }

    /// The number that forwards to the recipient, once one was given out.
    pub fn virtual_number(&self) -> Option<order_phone::TelNumberExtInfo> {
        order_phone::virtual_number(self)
    }

    /// The numbers of the address that the buyer asks for, while nobody has decided.
    pub fn phone_under_review(&self) -> Option<order_phone::PhoneInfo> {
        order_phone::phone_under_review(self)
    }
}

/// Grant `order-present`.
impl Order {
    /// The gift, or none for an ordinary order.
    pub fn present(&self) -> Option<order_present::OrderPresentInfo> {
        order_present::present(self)
    }
}

/// Grant `order-raw`, which counts as every data grant.
impl Order {
    /// The whole order as the platform's JSON.
    pub fn json(&self) -> String {
        order_raw::json(self)
    }
}
