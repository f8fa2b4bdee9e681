//! A recipient, and how much of it `getorder` shows.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

/// A recipient in clear, with the platform's member names (page 5.4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Recipient.
    pub user_name: String,
    /// Post code.
    pub postal_code: String,
    /// Province.
    pub province_name: String,
    /// City.
    pub city_name: String,
    /// District.
    pub county_name: String,
    /// Street and the rest.
    pub detail_info: String,
    /// National code.
    pub national_code: String,
    /// Phone.
    pub tel_number: String,
    /// House number.
    pub house_number: String,
    /// Phone of an order without courier (deliver_method 1).
    pub virtual_order_tel_number: String,
}

impl Default for Address {
    fn default() -> Self {
        Address {
            user_name: "杨小坊".to_owned(),
            postal_code: "000000".to_owned(),
            province_name: "浙江省".to_owned(),
            city_name: "杭州市".to_owned(),
            county_name: "滨江区".to_owned(),
            detail_info: "江南大道 1 号 2 幢 301 室".to_owned(),
            national_code: String::new(),
            tel_number: "13900000775".to_owned(),
            house_number: String::new(),
            virtual_order_tel_number: String::new(),
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("city_name", &self.city_name).finish_non_exhaustive()
    }
}

impl Address {
    /// All members empty, for an order that has no recipient yet.
    pub fn empty() -> Self {
        Address {
            user_name: String::new(),
            postal_code: String::new(),
            province_name: String::new(),
            city_name: String::new(),
            county_name: String::new(),
            detail_info: String::new(),
            national_code: String::new(),
            tel_number: String::new(),
            house_number: String::new(),
            virtual_order_tel_number: String::new(),
        }
    }

    /// The members that `getorder` and `address_under_review` show, masked as in the real orders.
    pub fn masked(&self, appid: &str) -> Value {
        json!({
            "user_name": mask_name(&self.user_name),
            "postal_code": self.postal_code,
            "province_name": self.province_name,
            "city_name": self.city_name,
            "county_name": self.county_name,
            "detail_info": mask_all(&self.detail_info),
            "national_code": self.national_code,
            "tel_number": mask_phone(&self.tel_number),
            "house_number": mask_all(&self.house_number),
            "virtual_order_tel_number": mask_phone(&self.virtual_order_tel_number),
            "hash_code": self.hash_code(appid),
        })
    }

    /// Equal for equal recipients and addresses within one shop; says nothing across shops.
    pub fn hash_code(&self, appid: &str) -> String {
        let mut sha = Sha1::new();
        for part in [
            appid,
            &self.user_name,
            &self.province_name,
            &self.city_name,
            &self.county_name,
            &self.detail_info,
            &self.house_number,
            &self.tel_number,
            &self.virtual_order_tel_number,
        ] {
            sha.update(part.as_bytes());
            sha.update([0]);
        }
        hex::encode(&sha.finalize()[..16])
    }
}

fn mask_name(name: &str) -> String {
    name.chars().next().map(|first| format!("{first}**")).unwrap_or_default()
}

fn mask_all(text: &str) -> String {
    if text.is_empty() { String::new() } else { "****".to_owned() }
}

/// `139****0775`.
pub(crate) fn mask_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().collect();
    if digits.len() < 8 {
        return mask_all(phone);
    }
    let (head, tail) = (&digits[..3], &digits[digits.len() - 4..]);
    format!("{}****{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_as_in_the_real_order() {
        let address =
            Address { user_name: "杨某某".into(), detail_info: "某路 1 号".into(), ..Address::default() };
        let shown = address.masked("wx1");
        assert_eq!(shown["user_name"], "杨**");
        assert_eq!(shown["detail_info"], "****");
        assert_eq!(shown["tel_number"], "139****0775");
        assert_eq!(shown["house_number"], "");
        assert_eq!(shown["hash_code"].as_str().unwrap().len(), 32);
        let text = shown.to_string();
        assert!(!text.contains("某路") && !text.contains("13900000775"));
        assert!(!format!("{address:?}").contains("13900000775"));
    }

    #[test]
    fn the_hash_is_equal_within_a_shop_only() {
        let address = Address::default();
        assert_eq!(address.hash_code("wx1"), address.clone().hash_code("wx1"));
        assert_ne!(address.hash_code("wx1"), address.hash_code("wx2"));
        let moved = Address { detail_info: "别处".into(), ..address.clone() };
        assert_ne!(address.hash_code("wx1"), moved.hash_code("wx1"));
    }
}
