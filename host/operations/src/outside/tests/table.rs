//! The table of what a plugin may try: addresses that a name may lead to, and URLs that are an address in disguise.

use super::*;

/// Whether a name may lead there.
const ADDRESSES: &[(&str, bool)] = &[
    // This machine.
    ("127.0.0.1", false),
    ("127.0.0.2", false),
    ("127.1.2.3", false),
    ("127.255.255.255", false),
    ("::1", false),
    ("0.0.0.0", false),
    ("0.0.0.1", false),
    ("0.255.255.255", false),
    ("::", false),
    // Private.
    ("10.0.0.0", false),
    ("10.0.0.1", false),
    ("10.255.255.255", false),
    ("172.16.0.1", false),
    ("172.31.255.255", false),
    ("192.168.0.1", false),
    ("192.168.255.255", false),
    ("fc00::1", false),
    ("fd00::1", false),
    ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
    ("fec0::1", false),
    // Between a provider and its customers.
    ("100.64.0.1", false),
    ("100.127.255.255", false),
    // This link, and metadata.
    ("169.254.0.1", false),
    ("169.254.169.254", false),
    ("169.254.170.2", false),
    ("169.254.0.23", false),
    ("169.254.255.255", false),
    ("100.100.100.200", false),
    ("168.63.129.16", false),
    ("192.0.0.192", false),
    ("fd00:ec2::254", false),
    ("fe80::1", false),
    ("febf::1", false),
    // Multicast, broadcast, reserved.
    ("224.0.0.1", false),
    ("239.255.255.255", false),
    ("240.0.0.1", false),
    ("255.255.255.254", false),
    ("255.255.255.255", false),
    ("ff02::1", false),
    ("ff0e::1", false),
    // Protocols, documentation, measuring.
    ("192.0.0.1", false),
    ("192.0.2.1", false),
    ("198.51.100.1", false),
    ("203.0.113.1", false),
    ("192.88.99.1", false),
    ("198.18.0.1", false),
    ("198.19.255.255", false),
    ("2001:db8::1", false),
    ("3fff::1", false),
    ("2001:2::1", false),
    ("2001:10::1", false),
    ("2001:20::1", false),
    ("100::1", false),
    ("5f00::1", false),
    ("3ffe::1", false),
    ("4000::1", false),
    // An address of version 4 inside one of version 6.
    ("::ffff:127.0.0.1", false),
    ("::ffff:10.0.0.1", false),
    ("::ffff:169.254.169.254", false),
    ("::ffff:0:127.0.0.1", false),
    ("::127.0.0.1", false),
    ("::8.8.8.8", false),
    ("64:ff9b::127.0.0.1", false),
    ("64:ff9b::10.0.0.1", false),
    ("64:ff9b::169.254.169.254", false),
    ("64:ff9b:1::10.0.0.1", false),
    ("2002:7f00:1::1", false),
    ("2002:a9fe:a9fe::1", false),
    ("2002:808:808::1", false),
    ("2001:0:7f00:1::1", false),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false),
    // The Internet, up to the borders of what is closed.
    ("1.1.1.1", true),
    ("8.8.8.8", true),
    ("9.255.255.255", true),
    ("11.0.0.0", true),
    ("100.63.255.255", true),
    ("100.128.0.0", true),
    ("126.255.255.255", true),
    ("128.0.0.1", true),
    ("169.253.255.255", true),
    ("169.255.0.0", true),
    ("168.63.129.15", true),
    ("172.15.255.255", true),
    ("172.32.0.0", true),
    ("192.0.1.0", true),
    ("192.167.255.255", true),
    ("192.169.0.0", true),
    ("198.17.255.255", true),
    ("198.20.0.0", true),
    ("223.255.255.255", true),
    ("101.226.129.158", true),
    ("2400:3200::1", true),
    ("2606:4700:4700::1111", true),
    ("2001:4860:4860::8888", true),
    ("2001:200::1", true),
    ("2620:fe::fe", true),
    ("::ffff:8.8.8.8", true),
    ("64:ff9b::8.8.8.8", true),
];

/// What a URL is taken as: the grant that it needs, or refused as it is.
const URLS: &[(&str, Option<&str>)] = &[
    // Addresses in all spellings.
    ("https://127.0.0.1/", None),
    ("https://127.0.0.1./", None),
    ("https://127.1/", None),
    ("https://127.0.1/", None),
    ("https://2130706433/", None),
    ("https://0x7f000001/", None),
    ("https://0x7F.0x0.0x0.0x1/", None),
    ("https://0177.0.0.1/", None),
    ("https://017700000001/", None),
    ("https://0x7f.1/", None),
    ("https://0/", None),
    ("https://0x/", None),
    ("https://169.254.169.254/latest/meta-data/", None),
    ("https://2852039166/", None),
    ("https://0xa9fea9fe/", None),
    ("https://0251.0376.0251.0376/", None),
    ("https://169.254.43518/", None),
    ("https://425.510.425.510/", None),
    ("https://127.0.0.1.1/", None),
    ("https://256.1.1.1/", None),
    ("https://1.2.3.4/", None),
    ("https://[::1]/", None),
    ("https://[::]/", None),
    ("https://[::ffff:127.0.0.1]/", None),
    ("https://[::ffff:7f00:1]/", None),
    ("https://[0:0:0:0:0:ffff:127.0.0.1]/", None),
    ("https://[fd00:ec2::254]/", None),
    ("https://[fe80::1%25eth0]/", None),
    ("https://[64:ff9b::169.254.169.254]/", None),
    ("https://[2606:4700:4700::1111]/", None),
    // The same in other letters.
    ("https://%31%32%37.0.0.1/", None),
    ("https://127%2e0%2e0%2e1/", None),
    ("https://１２７.0.0.1/", None),
    ("https://127。0。0。1/", None),
    ("https://127．0．0．1/", None),
    ("https://①②⑦.⓪.⓪.①/", None),
    ("https://0ˣ7f000001/", None),
    // Names without a domain.
    ("https://localhost/", None),
    ("https://LOCALHOST/", None),
    ("https://ｌｏｃａｌｈｏｓｔ/", None),
    ("https://localhost./", None),
    ("https://metadata/", None),
    ("https://erp/", None),
    ("https:///", None),
    ("https://./", None),
    ("https://.example.com/", None),
    ("https://erp.example.com./", None),
    ("https://erp..example.com/", None),
    ("https://*.example.com/", None),
    ("https://erp_1.example.com/", None),
    // Users, who make one host look like another.
    ("https://erp.example.com@127.0.0.1/", None),
    ("https://erp.example.com@evil.example/", None),
    ("https://user:word@erp.example.com/", None),
    ("https://@erp.example.com/", None),
    ("https://:@erp.example.com/", None),
    ("https://erp.example.com%40evil.example/", None),
    // What readers of URLs don't agree on.
    ("https:\\\\erp.example.com\\", None),
    ("https://erp.example.com\\@evil.example/", None),
    ("https://erp.example.com\t.evil.example/", None),
    ("https://erp.example.com\n/", None),
    ("https://erp.example.com /", None),
    (" https://erp.example.com/", None),
    ("https://erp.example.com\u{0}.evil.example/", None),
    ("https://erp.example.com/\r\nhost: evil.example", None),
    ("https://erp.example.com/\u{3000}", None),
    ("https://erp.exa\u{ad}mple.com/", Some("http:erp.example.com")),
    // Other schemes and ports.
    ("http://erp.example.com/", None),
    ("HTTP://erp.example.com/", None),
    ("ftp://erp.example.com/", None),
    ("file:///etc/passwd", None),
    ("gopher://127.0.0.1:25/", None),
    ("data:text/plain,x", None),
    ("javascript:alert(1)", None),
    ("//erp.example.com/", None),
    ("/orders", None),
    ("", None),
    ("https://erp.example.com:0/", None),
    ("https://erp.example.com:65536/", None),
    ("https://erp.example.com:-1/", None),
    ("https://erp.example.com:443x/", None),
    ("https://erp.example.com:22/", Some("http:erp.example.com:22")),
    ("https://erp.example.com:8443/", Some("http:erp.example.com:8443")),
    // What is a name is held against the approved ones in one spelling.
    ("https://erp.example.com/", Some("http:erp.example.com")),
    ("https://erp.example.com", Some("http:erp.example.com")),
    ("https:erp.example.com/", Some("http:erp.example.com")),
    ("https:/erp.example.com/", Some("http:erp.example.com")),
    ("https://ERP.Example.COM:443/", Some("http:erp.example.com")),
    ("https://ｅｒｐ.example.com/", Some("http:erp.example.com")),
    ("https://erp%2eexample%2ecom/", Some("http:erp.example.com")),
    ("https://erp.example.com.evil.example/", Some("http:erp.example.com.evil.example")),
    ("https://evil.example/?https://erp.example.com/", Some("http:evil.example")),
    ("https://evil.example#@erp.example.com/", Some("http:evil.example")),
    ("https://evil.example/@erp.example.com", Some("http:evil.example")),
    ("https://127.0.0.1.nip.example/", Some("http:127.0.0.1.nip.example")),
    ("https://metadata.google.internal/", Some("http:metadata.google.internal")),
    ("https://еrp.example.com/", Some("http:xn--rp-mlc.example.com")),
];

#[test]
fn a_name_may_lead_to_the_internet_and_nowhere_else() {
    for (address, public) in ADDRESSES {
        assert_eq!(is_public(address.parse().unwrap()), *public, "{address}");
    }
}

#[test]
fn a_url_names_a_host_or_is_refused() {
    for (url, grant) in URLS {
        let read = Request::read(&json!({"method": "GET", "url": url}));
        assert_eq!(read.as_ref().ok().map(|read| read.host.grant()).as_deref(), *grant, "{url:?}");
        if let Err(text) = read {
            assert!(text.starts_with("url: "), "{url:?}: {text}");
        }
    }
}

#[test]
fn the_table_is_as_long_as_it_is_said_to_be() {
    let closed = ADDRESSES.iter().filter(|(_, public)| !public).count();
    let refused = URLS.iter().filter(|(_, grant)| grant.is_none()).count();
    assert!(closed >= 60 && refused >= 60, "{closed} addresses and {refused} URLs are refused");
}

#[tokio::test]
async fn every_closed_address_is_refused_where_a_connection_would_be_made() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    for (address, _) in ADDRESSES.iter().filter(|(_, public)| !public) {
        let outside = outside(&Scripted::new(&[&[address]]), &[], host.roots());
        let fault = send(&outside, &request("GET", &host, "/")).await.unwrap_err();
        assert_eq!((fault.class, fault.sent), (Class::Permission, Sent::NotSent), "{address}");
    }
    assert_eq!(host.connections(), 0);
}
