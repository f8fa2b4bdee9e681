//! Chinese or English: by the switch on the page, else by what the browser asks for, else Chinese.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::session::cookie;

/// Keeps the choice made with the switch.
pub(super) const COOKIE: &str = "fangshi_language";

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Chinese,
    English,
}

impl Language {
    /// The text of this language.
    pub fn pick<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Language::Chinese => zh,
            Language::English => en,
        }
    }

    /// For `lang` attributes.
    pub fn code(&self) -> &'static str {
        self.pick("zh-CN", "en")
    }

    fn from_code(code: &str) -> Option<Language> {
        match code.split('-').next()?.trim().to_ascii_lowercase().as_str() {
            "zh" => Some(Language::Chinese),
            "en" => Some(Language::English),
            _ => None,
        }
    }

    /// The switch's choice in a query, `lang=en`.
    pub fn chosen(query: Option<&str>) -> Option<Language> {
        query?.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Language::from_code)
    }

    fn of(query: Option<&str>, headers: &HeaderMap) -> Language {
        Language::chosen(query)
            .or_else(|| Language::from_code(cookie(headers, COOKIE)?))
            .or_else(|| accepted(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?))
            .unwrap_or(Language::Chinese)
    }
}

/// The better liked of the two in `Accept-Language`, such as `fr, en-GB;q=0.8, zh;q=0.7`.
fn accepted(header: &str) -> Option<Language> {
    let mut best: Option<(u32, Language)> = None;
    for part in header.split(',') {
        let (code, rest) = part.split_once(';').unwrap_or((part, "q=1"));
        let Some(language) = Language::from_code(code.trim()) else { continue };
        let liking = thousandths(rest.trim().strip_prefix("q=").unwrap_or("1"));
        if liking > 0 && best.is_none_or(|(most, _)| liking > most) {
            best = Some((liking, language));
        }
    }
    best.map(|(_, language)| language)
}

/// `0.8` as 800.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().unwrap_or(0).min(1) * 1000 + digits.parse::<u32>().unwrap_or(0)
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Language::of(parts.uri.query(), &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(query: Option<&str>, cookie: Option<&'static str>, accept: Option<&'static str>) -> Language {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = cookie {
            headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
        }
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        }
        Language::of(query, &headers)
    }

    #[test]
    fn the_switch_goes_before_the_browser() {
        use Language::{Chinese, English};
        assert_eq!(of(None, None, None), Chinese);
        assert_eq!(of(None, None, Some("en-US,en;q=0.9")), English);
        assert_eq!(of(None, None, Some("fr, en;q=0.5, zh-CN;q=0.8")), Chinese);
        assert_eq!(of(None, None, Some("zh;q=0, en;q=0.1")), English);
        assert_eq!(of(None, None, Some("fr")), Chinese);
        assert_eq!(of(None, Some("a=b; fangshi_language=en"), Some("zh")), English);
        assert_eq!(of(Some("x=1&lang=zh"), Some("fangshi_language=en"), Some("en")), Chinese);
        assert_eq!(of(Some("lang=<b>"), None, Some("en")), English);
    }
}
