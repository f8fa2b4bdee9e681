//! The interfaces of the contract in plain words: what a merchant reads before consenting.

use std::borrow::Cow;

use serde::Serialize;

use crate::operation::Sensitivity;

/// One interface that a plugin may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name in the contract, which is the name of the grant.
    pub name: &'static str,
    /// What it belongs to.
    pub kind: Kind,
    /// How delicate what it gives is.
    pub sensitivity: Sensitivity,
    /// In Chinese.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
}

/// What an interface belongs to; all but [`Kind::Basic`] need a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Operations on the shop.
    Operations,
    /// Data of an order.
    Data,
    /// A service of the host that keeps or sends data.
    Service,
    /// Given to every plugin: nothing to consent to.
    Basic,
}

impl Interface {
    /// Whether an installation needs a grant of this name.
    pub fn needs_grant(&self) -> bool {
        self.kind != Kind::Basic
    }
}

/// Every interface of `fangshi:host` and `fangshi:store` that a plugin may import.
pub fn interfaces() -> &'static [Interface] {
    INTERFACES
}

/// The interface of this name.
pub fn interface(name: &str) -> Option<&'static Interface> {
    INTERFACES.iter().find(|interface| interface.name == name)
}

/// A grant in plain words: of an interface, or of one HTTP host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The interface that it opens.
    pub interface: &'static Interface,
    /// Of `http`: the one host.
    pub host: Option<&'a str>,
}

/// What a grant of this name means; none for a name that is no grant's.
pub fn grant(name: &str) -> Option<Grant<'_>> {
    let host = name.strip_prefix("http:").filter(|host| !host.is_empty());
    let interface = interface(if host.is_some() { "http" } else { name })?;
    interface.needs_grant().then_some(Grant { interface, host })
}

impl Grant<'_> {
    /// In Chinese.
    pub fn zh(&self) -> Cow<'static, str> {
        match self.host {
            None => self.interface.zh.into(),
            Some(host) => format!("与外部网址 {host} 收发数据，订单数据可能离开本系统，发往该网址").into(),
        }
    }

    /// In English.
    pub fn en(&self) -> Cow<'static, str> {
        match self.host {
            None => self.interface.en.into(),
            Some(host) => {
                format!("Send data to {host} and read its answers: data of orders may leave to this host").into()
            }
        }
    }
}

/// Whether these grants are what a version asks for by this name: that very grant, or for `http` as such a host of it.
/// Consent is no inference: here `order-raw` counts as itself alone.
pub fn meets<'a>(mut grants: impl Iterator<Item = &'a String>, asked: &str) -> bool {
    grants.any(|grant| grant == asked || (asked == "http" && grant.starts_with("http:")))
}

/// The grant that counts as every data grant.
pub const ALL_DATA: &str = "order-raw";

/// Whether these grants cover an interface: by its own name, by one host of it (`http:HOST`), or, for order data, by
/// `order-raw`.
pub fn covers<'a>(grants: impl IntoIterator<Item = &'a str>, name: &str) -> bool {
    let Some(interface) = interface(name) else { return false };
    !interface.needs_grant()
        || grants.into_iter().any(|grant| {
            grant == name
                || (grant == ALL_DATA && interface.kind == Kind::Data)
                || (name == "http" && grant.starts_with("http:"))
        })
}

const fn unit(
    name: &'static str,
    kind: Kind,
    sensitivity: Sensitivity,
    zh: &'static str,
    en: &'static str,
) -> Interface {
    Interface { name, kind, sensitivity, zh, en }
}

use Kind::{Basic, Data, Operations, Service};
use Sensitivity::{Money, Outside, Personal, Plain};

const INTERFACES: &[Interface] = &[
    unit("notes", Operations, Personal, "修改订单的商家备注", "Replace the merchant's note on an order"),
    unit(
        "price",
        Operations,
        Money,
        "降低待付款订单的价格或修改运费",
        "Lower the price or set the freight of an unpaid order",
    ),
    unit(
        "address",
        Operations,
        Personal,
        "向买家提出修改未发货订单的收货地址",
        "Ask the buyer for another address of an unshipped order",
    ),
    unit(
        "address-decision",
        Operations,
        Plain,
        "同意或拒绝买家修改收货地址的申请",
        "Accept or refuse a buyer's wish for another address",
    ),
    unit(
        "sku-decision",
        Operations,
        Plain,
        "查看并同意或拒绝买家发货前换款的申请",
        "See, approve or refuse buyers' wishes for another SKU before shipping",
    ),
    unit(
        "presents",
        Operations,
        Personal,
        "设置礼物订单备注，查看礼物订单的子订单",
        "Set the note on a gift order and list the orders made of it",
    ),
    unit(
        "delivery",
        Operations,
        Plain,
        "发货、修改物流信息、补发、提交生鲜质检",
        "Ship, correct and resend parcels, hand in inspections of fresh goods",
    ),
    unit(
        "decode",
        Operations,
        Personal,
        "解密订单的完整收货人、地址和电话（每日额度很少）",
        "See the clear name, address and phone of an order (few a day)",
    ),
    unit(
        "virtual-number",
        Operations,
        Personal,
        "重新申请或延长订单的虚拟号",
        "Renew or extend the virtual number of an order",
    ),
    unit(
        "real-number",
        Operations,
        Personal,
        "申请查看买家的真实手机号并查看审核结果",
        "Ask to see the buyer's real phone number and see the decision",
    ),
    unit(
        "shop-phone",
        Operations,
        Personal,
        "登记店铺自己的手机号以拨打虚拟号",
        "Register the shop's own phones for calls to virtual numbers",
    ),
    unit(
        "search",
        Operations,
        Personal,
        "按时间或内容查找本店订单（只返回订单号）",
        "Find orders of the shop by time or content (gives ids only)",
    ),
    unit(
        "order-summary",
        Data,
        Personal,
        "读取订单状态、时间、来源和备注",
        "Read state, times, source and notes of an order",
    ),
    unit(
        "order-items",
        Data,
        Money,
        "读取订单的商品、规格、数量、价格与优惠，以及换款申请",
        "Read goods, SKUs, counts, prices and discounts, and SKU changes of an order",
    ),
    unit(
        "order-price",
        Data,
        Money,
        "读取订单金额、结算费用，以及推广者的昵称、账号 ID 和佣金",
        "Read sums and fees of an order, and its promoters' nicknames, account ids and commissions",
    ),
    unit(
        "order-payment",
        Data,
        Personal,
        "读取支付单号、支付时间和买家的 openid",
        "Read payment numbers and times, and the buyer's openid",
    ),
    unit(
        "order-delivery",
        Data,
        Plain,
        "读取订单的包裹、运单和发货要求",
        "Read parcels, waybills and shipping terms of an order",
    ),
    unit(
        "order-address",
        Data,
        Personal,
        "读取收货人和地址（平台已脱敏）及改址申请",
        "Read the recipient and address (masked by the platform) and wishes to change it",
    ),
    unit(
        "order-phone",
        Data,
        Personal,
        "读取收货电话（平台已脱敏）和虚拟号",
        "Read phone numbers (masked by the platform) and virtual numbers",
    ),
    unit("order-present", Data, Personal, "读取礼物订单的赠送者和留言", "Read giver and note of a gift order"),
    unit(
        ALL_DATA,
        Data,
        Personal,
        "读取订单的全部原始数据（包含以上所有订单数据）",
        "Read the whole order as it came (counts as all order data above)",
    ),
    unit("kv", Service, Personal, "为本插件保存少量数据", "Keep small data of its own"),
    unit("http", Service, Outside, "向您批准的外部网址发送数据", "Send data to outside hosts that you approve"),
    unit("settings", Basic, Plain, "读取您为本插件填写的设置", "Read the settings that you made for it"),
    unit("log", Basic, Plain, "写运行日志", "Write lines to its log"),
    unit("clock", Basic, Plain, "读取运行开始的时间", "Read the time of the run"),
    unit("random", Basic, Plain, "取随机数", "Get random numbers"),
    unit(
        "orders",
        Basic,
        Plain,
        "按订单号读取订单（内容由订单数据授权决定）",
        "Read an order by its id (what it shows depends on the data grants)",
    ),
    unit("events", Basic, Personal, "读取触发运行的事件", "Read the event that it is called for"),
    unit("errors", Basic, Plain, "错误类型", "Types of errors"),
    unit("outcomes", Basic, Plain, "运行结果类型", "Types of outcomes"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_counts_as_all_order_data_and_as_nothing_else() {
        assert!(covers(["order-raw"], "order-address"));
        assert!(covers(["order-raw"], "order-raw"));
        assert!(!covers(["order-address"], "order-raw"));
        assert!(!covers(["order-raw"], "decode"));
        assert!(covers([], "log"));
        assert!(covers(["http:erp.example.com"], "http"));
        assert!(!covers(["http:erp.example.com"], "kv"));
        assert!(!covers(["nothing"], "nothing"));
        assert!(!covers(["nothing"], "nothing-of-the-contract"));
    }

    #[test]
    fn a_grant_of_a_host_says_which() {
        let host = grant("http:erp.example.com").unwrap();
        assert_eq!((host.interface.name, host.host), ("http", Some("erp.example.com")));
        assert!(host.zh().contains("erp.example.com") && host.en().contains("erp.example.com"));
        assert_eq!(grant("notes").unwrap().en(), interface("notes").unwrap().en);
        for none in ["http:", "log", "orders", "notes:all", "nothing", ""] {
            assert_eq!(grant(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_asked_is_met_by_its_own_grant_and_http_by_any_host() {
        let given = ["order-raw".to_owned(), "http:a.example".to_owned()];
        for (asked, met) in [
            ("order-raw", true),
            ("order-address", false),
            ("http", true),
            ("http:a.example", true),
            ("http:b.example", false),
            ("notes", false),
        ] {
            assert_eq!(meets(given.iter(), asked), met, "{asked}");
        }
    }
}
