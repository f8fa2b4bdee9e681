//! Lists in pages: `?after=CURSOR&limit=N` gives `{items, next}`; `next` is the cursor of the page after, or null.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::refusal::Refusal;

/// Items a page has if the caller names no number.
const DEFAULT_LIMIT: u32 = 50;
/// Most items of a page.
const MAX_LIMIT: u32 = 200;

/// The parameters of every list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The `next` of the page before; without it the list begins.
    pub after: Option<String>,
    /// Items of a page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Pass it as `after` for the next page; null at the end.
    pub next: Option<String>,
}

impl PageQuery {
    /// The cursor as an id.
    pub fn after<T: FromStr>(&self) -> Result<Option<T>, Refusal> {
        cursor(self.after.as_deref())
    }

    /// The number of items, checked.
    pub fn limit(&self) -> Result<u32, Refusal> {
        limit(self.limit)
    }
}

/// A cursor as an id.
pub(crate) fn cursor<T: FromStr>(text: Option<&str>) -> Result<Option<T>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(Refusal::malformed(
            "invalid-query",
            "`after` is no cursor of this list",
            "pass the `next` of the page before, unchanged, or leave `after` out",
        )),
    }
}

/// A page's number of items.
pub(crate) fn limit(given: Option<u32>) -> Result<u32, Refusal> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Refusal::malformed(
        "invalid-query",
        format!("`limit` is {limit}, expected 1 to {MAX_LIMIT}"),
        "leave it out for pages of 50",
    ))
}

impl<T> Page<T> {
    /// A page out of one item more than asked for: the one too many tells that there is a next page.
    pub fn cut(mut items: Vec<T>, limit: u32, cursor_of: impl Fn(&T) -> String) -> Page<T> {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor_of);
        Page { items, next }
    }
}

/// The word that serde writes for an enum without data, such as `retry-later`.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let page = Page::cut(vec![1, 2, 3], 2, |item| format!("e{item}"));
        assert_eq!((page.items, page.next), (vec![1, 2], Some("e2".to_owned())));
        let page = Page::cut(vec![1, 2], 2, |item| format!("e{item}"));
        assert_eq!((page.items, page.next), (vec![1, 2], None));
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err());
        assert_eq!(limit(None).ok(), Some(50));
    }
}
