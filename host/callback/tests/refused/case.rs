//! A row of the table.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::room::{ANNA, Push, paid, paid_json};

pub struct Case {
    pub name: String,
    pub request: Request<Body>,
    pub status: StatusCode,
    pub code: &'static str,
}

pub fn case(name: impl Into<String>, request: Request<Body>, status: u16, code: &'static str) -> Case {
    Case { name: name.into(), request, status: StatusCode::from_u16(status).unwrap(), code }
}

/// A good push, to be spoilt.
pub fn good() -> Push {
    Push::authorized(ANNA, paid("gh_anna", 3705115058471208928))
}

/// A good push in JSON within JSON, to be spoilt.
pub fn good_json() -> Push {
    Push { xml: false, ..Push::authorized(ANNA, paid_json("gh_anna", 3705115058471208928)) }
}

/// A push of any message, properly signed and sealed.
pub fn saying(message: impl Into<Vec<u8>>) -> Push {
    Push { message: message.into(), ..good() }
}
