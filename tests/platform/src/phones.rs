//! A shop's own phones, registered with the carrier before they can dial virtual numbers (page 4, rows 20 to 22).

use std::collections::HashMap;

use crate::refusal::Refusal;

/// Seconds between two codes for one phone (the page names the errcode, not the time).
const CODE_GAP_S: i64 = 60;
/// Validity of a code.
const CODE_LIFE_S: i64 = 300;

/// `status` of addphone and getphone.
pub(crate) const OK: i64 = 1;
pub(crate) const FAILED: i64 = 2;
pub(crate) const REVIEWING: i64 = 3;

#[derive(Clone, Debug, Default)]
struct Phone {
    code: String,
    sent_ms: Option<i64>,
    /// When it was added; the carrier reviews it from then on.
    added_ms: Option<i64>,
    fail_reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Phones(HashMap<(String, String), Phone>);

impl Phones {
    pub(crate) fn send_code(
        &mut self,
        appid: &str,
        mobile: &str,
        code: String,
        most: usize,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let key = (appid.to_owned(), mobile.to_owned());
        let known = self.0.get(&key);
        if known.and_then(|p| p.sent_ms).is_some_and(|sent| now_ms - sent < CODE_GAP_S * 1000) {
            return Err(Refusal::new(10021203, "operation too often"));
        }
        let added = self.0.iter().filter(|((of, _), p)| of == appid && p.added_ms.is_some()).count();
        if known.is_none_or(|p| p.added_ms.is_none()) && added >= most {
            return Err(Refusal::new(10021204, "the shop's number of phones is full"));
        }
        let phone = self.0.entry(key).or_default();
        phone.code = code;
        phone.sent_ms = Some(now_ms);
        Ok(())
    }

    /// Status of the phone: reviewing, or failed for a wrong or old code.
    pub(crate) fn add(&mut self, appid: &str, mobile: &str, code: &str, now_ms: i64) -> i64 {
        let phone = self.0.entry((appid.to_owned(), mobile.to_owned())).or_default();
        let fresh = phone.sent_ms.is_some_and(|sent| now_ms - sent <= CODE_LIFE_S * 1000);
        if !fresh || phone.code != code {
            phone.fail_reason = "验证码错误或已过期".to_owned();
            return FAILED;
        }
        phone.code = String::new();
        phone.fail_reason = String::new();
        phone.sent_ms = None;
        phone.added_ms = Some(now_ms);
        REVIEWING
    }

    pub(crate) fn status(
        &self,
        appid: &str,
        mobile: &str,
        review_s: i64,
        now_ms: i64,
    ) -> Result<(i64, String), Refusal> {
        let phone = self
            .0
            .get(&(appid.to_owned(), mobile.to_owned()))
            .ok_or_else(|| Refusal::new(10021207, "phone unknown"))?;
        match phone.added_ms {
            Some(added) if now_ms - added >= review_s * 1000 => Ok((OK, String::new())),
            Some(_) => Ok((REVIEWING, String::new())),
            None if phone.fail_reason.is_empty() => Err(Refusal::new(10021207, "phone unknown")),
            None => Ok((FAILED, phone.fail_reason.clone())),
        }
    }

    /// The code that was "sent".
    pub(crate) fn code(&self, appid: &str, mobile: &str) -> Option<String> {
        self.0.get(&(appid.to_owned(), mobile.to_owned())).map(|p| p.code.clone()).filter(|c| !c.is_empty())
    }
}
