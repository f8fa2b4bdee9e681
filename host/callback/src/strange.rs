//! Addresses below `/callback/` that nobody here has. A slip in the platform's console, or in an appid, loses a shop without
//! a name anywhere: so the operator hears of each appid once. Anybody can make them up, so of few, and of what can be an
//! appid alone.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Appids that are told of at most.
const MOST: usize = 256;
/// The platform's have 18 characters.
const LONGEST: usize = 32;

/// The appids that were told of; the empty one stands for all addresses without.
#[derive(Default)]
pub(crate) struct StrangeAddresses(Mutex<HashSet<String>>);

impl StrangeAddresses {
    /// Whether the operator has not heard of it since the start, and may.
    pub(crate) fn is_news(&self, appid: Option<&str>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST && told.insert(appid.unwrap_or_default().to_owned())
    }
}

/// The appid in an address, whatever stands around it.
pub(crate) fn appid(path: &str) -> Option<&str> {
    let is_appid = |part: &&str| {
        part.len() <= LONGEST && part.starts_with("wx") && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    path.split('/').find(is_appid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_an_appid_is_found_and_nothing_else_is() {
        for path in ["/callback/weixin/wx1a", "/callback/weixin/wx1a/", "/callback/wx1a", "/callback/weixin//wx1a/x"] {
            assert_eq!(appid(path), Some("wx1a"), "{path}");
        }
        let long = format!("/callback/weixin/wx{}", "1".repeat(LONGEST));
        for path in ["/callback/", "/callback/weixin/$APPID$", "/callback/weixin/wx%0a", "/callback/wexin/", &long] {
            assert_eq!(appid(path), None, "{path}");
        }
    }

    #[test]
    fn each_is_told_of_once_and_few_are() {
        let strange = StrangeAddresses::default();
        assert!(strange.is_news(Some("wx1")) && !strange.is_news(Some("wx1")));
        assert!(strange.is_news(None) && !strange.is_news(None));
        let told = (0..10 * MOST).filter(|n| strange.is_news(Some(&format!("wxmany{n}")))).count();
        assert_eq!(told, MOST - 2);
    }
}
