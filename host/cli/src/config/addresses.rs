//! Addresses: where to listen, where merchants' browsers come in, and where the platform is.

use std::net::SocketAddr;

use fangshi_operations::is_base;
use url::Url;

use super::keys;
use super::reader::{Found, Reader};

const PC_PAGE: &str = "https://mp.weixin.qq.com/cgi-bin/componentloginpage";
const H5_PAGE: &str = "https://open.weixin.qq.com/wxaopen/safe/bindcomponent";

pub(super) fn listen(reader: &mut Reader<'_>) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let Some(Found { value, line }) = reader.text(&keys::LISTEN) else {
        return default;
    };
    // "localhost" is no address; it means this machine, and asks no resolver.
    let address = match value.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => value.clone(),
    };
    address.parse().unwrap_or_else(|_| {
        reader.wrong(&keys::LISTEN, line, &format!("\"{value}\""));
        default
    })
}

pub(super) fn api_base(reader: &mut Reader<'_>) -> String {
    let default = "https://api.weixin.qq.com";
    let Some(Found { value, line }) = reader.text(&keys::API_BASE) else {
        return default.to_owned();
    };
    let base = value.trim_end_matches('/');
    if is_base(base) {
        return base.to_owned();
    }
    // Not the value itself: an address may carry a password.
    reader.wrong(&keys::API_BASE, line, "another form of address");
    default.to_owned()
}

pub(super) fn public_url(reader: &mut Reader<'_>) -> Option<String> {
    let Found { value, line } = reader.text(&keys::PUBLIC_URL)?;
    let base = value.trim_end_matches('/');
    if is_base(base) {
        return Some(base.to_owned());
    }
    reader.wrong(&keys::PUBLIC_URL, line, "another form of address");
    None
}

/// The platform's authorization pages, for computers and for phones.
pub(super) fn authorize_pages(reader: &mut Reader<'_>) -> (Option<Url>, Option<Url>) {
    (page(reader, &keys::AUTHORIZE_PC_URL, PC_PAGE), page(reader, &keys::AUTHORIZE_H5_URL, H5_PAGE))
}

/// An address with a path and without a query; plain http for this machine alone.
fn page(reader: &mut Reader<'_>, key: &keys::Key, default: &str) -> Option<Url> {
    let found = reader.text(key);
    let (value, line) = found.map_or((default.to_owned(), None), |found| (found.value, found.line));
    let url = Url::parse(&value).ok().filter(|url| {
        let nobody = url.username().is_empty() && url.password().is_none();
        let bare = nobody && url.query().is_none() && url.fragment().is_none();
        bare && is_base(&url.origin().ascii_serialization())
    });
    if url.is_none() {
        reader.wrong(key, line, "another form of address");
    }
    url
}
