//! The walls around requests to outside hosts: what a URL may say, what a name may lead to, and what a real host over TLS
//! is sent and may answer.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fangshi_platform::{AskedOutside, OutsideHost, ReplyOutside};
use fangshi_tenants::{Clock, TenantId};
use serde_json::{Value, json};

use super::address::is_public;
use super::reach::Reach;
use super::request::Request;
use super::resolver::{Checked, Closed, Resolver};
use super::{
    DeniedHosts, ExtraRoots, InnerAddresses, MOST_HOSTS, Outside, OutsideConfig, OwnAddresses, client, request, shown,
};
use crate::breaker::BreakerConfig;
use crate::fault::{Class, Fault, Sent};

mod table;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NAME: &str = "erp.example.com";
const ANSWER_BYTES: u64 = 1 << 10;

/// Answers questions for a name one after the other, and notes them.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Scripted> {
        let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Scripted { answers: Mutex::new(answers.iter().map(parsed).collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        self.answers.lock().unwrap().pop_front().ok_or_else(|| io::Error::other("no such name"))
    }
}

/// A way to outside hosts with these names and ranges of the operator's.
fn outside(resolver: &Arc<Scripted>, inner: &[&str], roots: &str) -> Outside {
    let inner: Vec<String> = inner.iter().map(|range| format!("{NAME}={range}")).collect();
    let config = OutsideConfig {
        inner: InnerAddresses::new(&inner).unwrap(),
        extra_roots: ExtraRoots::from_pem(roots.as_bytes()).unwrap(),
        resolver: Arc::clone(resolver) as Arc<dyn Resolver>,
        // No test waits for it.
        timeout: Duration::from_secs(20),
        ..OutsideConfig::default()
    };
    made(&config)
}

fn made(config: &OutsideConfig) -> Outside {
    Outside::new(config, BreakerConfig::default(), Clock::system()).unwrap()
}

async fn host(script: impl Fn(&AskedOutside) -> ReplyOutside + Send + Sync + 'static) -> OutsideHost {
    OutsideHost::start(HERE, &[NAME], script).await.unwrap()
}

fn request(method: &str, host: &OutsideHost, path: &str) -> Value {
    json!({"method": method, "url": format!("https://{NAME}:{}{path}", host.port())})
}

async fn send(outside: &Outside, request: &Value) -> Result<Value, Fault> {
    outside.send(TenantId(1), request, ANSWER_BYTES).await
}

/// One request to a host of this machine, with nothing in its way.
async fn answered(host: &OutsideHost, request: &Value) -> Result<Value, Fault> {
    send(&outside(&Scripted::new(&[&["127.0.0.1"]]), &["127.0.0.1"], host.roots()), request).await
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant_and_so_does_its_answer() {
    let host = host(|asked| ReplyOutside::with(201, "x-answer: yes\r\n", &format!("got {}", asked.body.len()))).await;
    let mut request = request("POST", &host, "/orders?id=37#part");
    request["headers"] = json!([{"name": "X-Key", "value": "secret"}, {"name": "content-type", "value": "text/plain"}]);
    request["body"] = json!("重量");
    let answer = answered(&host, &request).await.unwrap();
    assert_eq!((&answer["status"], &answer["body"]), (&json!(201), &json!("got 6")));
    let headers = answer["headers"].as_array().unwrap();
    assert!(headers.contains(&json!({"name": "x-answer", "value": "yes"})), "{headers:?}");
    let asked = host.asked().remove(0);
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str(), asked.body.as_slice()),
        ("POST", "/orders?id=37", "重量".as_bytes())
    );
    assert_eq!(asked.header("host"), Some(format!("{NAME}:{}", host.port()).as_str()));
    assert_eq!((asked.header("x-key"), asked.header("content-length")), (Some("secret"), Some("6")));
    assert_eq!(asked.header("user-agent"), Some(concat!("fangshi/", env!("CARGO_PKG_VERSION"))));
    for unwanted in ["cookie", "referer", "accept-encoding", "authorization"] {
        assert_eq!(asked.header(unwanted), None, "{unwanted}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_come_in_base64() {
    let host = host(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        ReplyOutside::Bytes([&head[..], &[0xff, 0x00]].concat())
    })
    .await;
    let answer = answered(&host, &request("GET", &host, "/")).await.unwrap();
    assert_eq!((&answer["body_base64"], answer.get("body")), (&json!("/wA="), None));
}

#[tokio::test]
async fn a_redirect_is_the_answer_and_is_not_followed() {
    let metadata = "location: https://169.254.169.254/latest/meta-data/\r\n";
    let host = host(move |_| ReplyOutside::with(302, metadata, "")).await;
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let outside = outside(&resolver, &["127.0.0.1"], host.roots());
    let answer = send(&outside, &request("GET", &host, "/")).await.unwrap();
    assert_eq!(answer["status"], 302);
    let location = json!({"name": "location", "value": "https://169.254.169.254/latest/meta-data/"});
    assert!(answer["headers"].as_array().unwrap().contains(&location));
    assert_eq!((host.connections(), resolver.asked()), (1, vec![NAME.to_owned()]), "nobody was asked a second time");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_at_the_second_question_gains_nothing() {
    // 127.0.0.2 stands for an address that may be reached; what listens on 127.0.0.1 is this machine's own.
    let good = OutsideHost::start("127.0.0.2".parse().unwrap(), &[NAME], |_| ReplyOutside::with(200, "", "good"));
    let good = good.await.unwrap();
    let own = host(|_| ReplyOutside::with(200, "", "own")).await;
    let resolver = Scripted::new(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.1", "127.0.0.2"]]);
    let outside = outside(&resolver, &["127.0.0.2/32"], good.roots());
    let request = request("GET", &good, "/");
    assert_eq!(send(&outside, &request).await.unwrap()["body"], "good");
    assert_eq!(resolver.asked().len(), 1, "resolved once: what was checked is what was connected to");
    let refused = send(&outside, &request).await.unwrap_err();
    assert_eq!((refused.class, refused.sent), (Class::Permission, Sent::NotSent));
    assert_eq!(send(&outside, &request).await.unwrap()["body"], "good", "the address that is left");
    assert_eq!((own.connections(), good.connections(), resolver.asked().len()), (0, 2, 3));
}

#[tokio::test]
async fn of_several_addresses_those_remain_that_may_be_reached() {
    let none = Reach::new(&OutsideConfig::default());
    let resolver = Scripted::new(&[
        &["10.0.0.1", "93.184.215.14", "::1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
        &["127.0.0.1"],
        &["169.254.169.254", "fd00:ec2::254"],
        &[],
    ]);
    let open = Checked::addresses(&*resolver, &none, NAME).await.unwrap();
    let expected: Vec<IpAddr> =
        ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"].map(|address| address.parse().unwrap()).into();
    assert_eq!(open, expected);
    assert_eq!(resolver.asked().len(), 1);
    for _ in 0..2 {
        let closed = Checked::addresses(&*resolver, &none, NAME).await.unwrap_err();
        assert!(closed.is::<Closed>(), "{closed}");
    }
    let nothing = Checked::addresses(&*resolver, &none, NAME).await.unwrap_err();
    assert!(!nothing.is::<Closed>(), "{nothing}");
}

/// A machine with one address that the whole Internet reaches.
#[derive(Debug)]
struct OnePublic;

impl OwnAddresses for OnePublic {
    fn now(&self) -> io::Result<Vec<IpAddr>> {
        Ok(vec![HERE, IpAddr::from([93, 184, 215, 14])])
    }
}

#[tokio::test]
async fn this_machine_under_its_public_address_and_what_is_denied_are_not_asked() {
    let resolver = Scripted::new(&[&["93.184.215.14", "::ffff:93.184.215.14"]]);
    let denied = DeniedHosts::new(&[".evil.example".to_owned(), "1.1.1.0/24".to_owned()]).unwrap();
    let config = OutsideConfig {
        denied,
        own: Arc::new(OnePublic),
        own_name: Some("plugins.example.com".into()),
        resolver: Arc::clone(&resolver) as Arc<dyn Resolver>,
        ..OutsideConfig::default()
    };
    let outside = made(&config);
    for name in [NAME, "evil.example", "a.evil.example", "plugins.example.com"] {
        let fault = send(&outside, &json!({"method": "POST", "url": format!("https://{name}/")})).await.unwrap_err();
        assert_eq!((fault.class, fault.sent), (Class::Permission, Sent::NotSent), "{name}");
        assert_eq!(fault.message, format!("{name} has no address that plugins may reach"));
        assert_eq!(outside.refuses(&format!("{name}:8443")), name != NAME, "at the approval");
    }
    assert_eq!(resolver.asked(), [NAME], "names that are denied are not asked for");
    let config = OutsideConfig { resolver: Scripted::new(&[&["1.1.1.1"]]), ..config };
    let fault = send(&made(&config), &json!({"method": "GET", "url": "https://a.example/"})).await;
    assert_eq!(fault.unwrap_err().class, Class::Permission, "an address that is denied");
}

#[tokio::test]
async fn a_host_that_fails_again_and_again_is_asked_no_more_for_a_while() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    // Nobody listens there.
    let resolver = Scripted::new(&[&["127.0.0.9"][..]; 9]);
    let outside = outside(&resolver, &["127.0.0.0/8"], host.roots());
    for _ in 0..7 {
        let fault = send(&outside, &request("POST", &host, "/CANARY")).await.unwrap_err();
        assert_eq!((fault.class, fault.sent), (Class::Unreachable, Sent::NotSent));
        assert!(!fault.message.contains("CANARY"), "{}", fault.message);
    }
    assert_eq!(resolver.asked().len(), 5, "the breaker is open");
    let other = outside.send(TenantId(2), &request("POST", &host, "/"), ANSWER_BYTES).await;
    assert!(other.is_err() && resolver.asked().len() == 6, "another shop's is its own");
}

#[tokio::test]
async fn a_refusal_does_not_say_what_the_name_leads_to() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    for address in ["127.0.0.1", "10.20.30.40", "169.254.169.254", "fd00:ec2::254", "::ffff:127.0.0.1"] {
        for (method, class) in [("GET", Class::Permission), ("POST", Class::Permission)] {
            let outside = outside(&Scripted::new(&[&[address]]), &["10.99.0.0/16"], host.roots());
            let fault = send(&outside, &request(method, &host, "/CANARY?q=CANARY")).await.unwrap_err();
            assert_eq!((fault.class, fault.sent), (class, Sent::NotSent), "{address}");
            assert_eq!(fault.message, format!("{NAME}:{} has no address that plugins may reach", host.port()));
        }
    }
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn what_cannot_be_reached_was_not_sent() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    let url = request("POST", &host, "/CANARY");
    // No such name; nobody listens; a certificate for another name; an authority that nobody knows.
    let nameless = outside(&Scripted::new(&[]), &["127.0.0.0/8"], host.roots());
    let deaf = outside(&Scripted::new(&[&["127.0.0.9"]]), &["127.0.0.0/8"], host.roots());
    let named = OutsideHost::start(HERE, &["other.example"], |_| ReplyOutside::with(200, "", "")).await.unwrap();
    let misnamed = outside(&Scripted::new(&[&["127.0.0.1"]]), &["127.0.0.1"], named.roots());
    let unknown = outside(&Scripted::new(&[&["127.0.0.1"]]), &["127.0.0.1"], named.roots());
    for (outside, request) in
        [(nameless, &url), (deaf, &url), (misnamed, &request("POST", &named, "/CANARY")), (unknown, &url)]
    {
        let fault = send(&outside, request).await.unwrap_err();
        assert_eq!((fault.class, fault.sent), (Class::Unreachable, Sent::NotSent), "{fault}");
        assert!(!fault.to_string().contains("CANARY") && !fault.to_string().contains("127.0.0"), "{fault}");
    }
    assert!(named.asked().is_empty() && host.asked().is_empty());
}

/// A request whose answer is these bytes.
async fn answered_with(method: &str, bytes: Vec<u8>) -> Result<Value, Fault> {
    let host = host(move |_| ReplyOutside::Bytes(bytes.clone())).await;
    let request = request(method, &host, "/");
    answered(&host, &request).await
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_a_change_in_doubt_and_a_read_undone() {
    for bytes in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "no http at all\r\n\r\n"] {
        let change = answered_with("POST", bytes.into()).await.unwrap_err();
        assert_eq!((change.class, change.sent), (Class::Unanswered, Sent::Unknown), "{bytes:?} {change}");
        let read = answered_with("GET", bytes.into()).await.unwrap_err();
        assert_eq!(read.class, Class::Unreachable, "{bytes:?} {read}");
    }
}

#[tokio::test]
async fn a_request_is_sent_once_whatever_becomes_of_it() {
    let host = host(|_| ReplyOutside::Bytes(Vec::new())).await;
    for method in ["GET", "POST"] {
        let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.1"]]);
        let outside = outside(&resolver, &["127.0.0.1"], host.roots());
        assert!(send(&outside, &request(method, &host, "/")).await.is_err());
    }
    assert_eq!((host.asked().len(), host.connections()), (2, 2));
}

#[tokio::test]
async fn what_is_read_of_an_answer_ends_at_its_bound() {
    let most = ANSWER_BYTES as usize;
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40).into_bytes();
    // Nobody said how long it would be.
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
    let headers = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(most)).into_bytes();
    for bytes in [announced, endless, headers] {
        let change = answered_with("POST", bytes.clone()).await.unwrap_err();
        assert_eq!((change.class, change.sent), (Class::Unreadable, Sent::Answered), "it was done: {change}");
        assert!(change.message.contains("more than 1024 bytes, which http_answer_bytes allows"), "{change}");
        let read = answered_with("GET", bytes).await.unwrap_err();
        assert_eq!(read.class, Class::Invalid, "{read}");
        assert!(read.message.contains("1024 bytes"), "{read}");
    }
    let many: String = (0..200).map(|number| format!("h{number}: x\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n").into_bytes();
    assert!(answered_with("GET", many).await.is_err());
    let fits = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", most - 30, "x".repeat(most - 30));
    let fits = answered_with("GET", fits.into_bytes()).await.unwrap();
    assert_eq!(fits["body"].as_str().unwrap().len(), most - 30);
    // What HEAD tells of a body never comes.
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 30).into_bytes();
    assert_eq!(answered_with("HEAD", head).await.unwrap()["status"], 200);
}

#[tokio::test]
async fn switched_off_nothing_is_sent() {
    let off = made(&OutsideConfig { enabled: false, ..OutsideConfig::default() });
    let fault = send(&off, &json!({"method": "GET", "url": "https://a.example/"})).await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Permission, Sent::NotSent));
    assert!(fault.message.contains("switched"), "{fault}");
}

#[test]
fn the_pages_of_limits_have_the_fixed_figures() {
    let config = OutsideConfig::default();
    let rows = [
        ("connecting", "建立连接", vec![config.connect_timeout.as_secs()]),
        ("whole request", "整个请求", vec![config.timeout.as_secs()]),
        ("URL", "网址", vec![request::LONGEST_URL as u64]),
        ("headers of a request", "请求头", vec![request::MOST_HEADERS as u64, request::HEADER_BYTES as u64]),
        ("headers of an answer", "响应头", vec![client::MOST_HEADERS as u64, client::HEADER_BYTES as u64]),
        ("hosts", "域名", vec![MOST_HOSTS as u64]),
        ("a host on pages", "页面上的域名", vec![shown::LONGEST_HOST as u64]),
    ];
    let pages = [include_str!("../../../../docs/limits.md"), include_str!("../../../../docs/limits.zh-CN.md")];
    for (en, zh, figures) in rows {
        for (page, row) in pages.iter().zip([format!("| http: {en} | "), format!("| http:{zh} | ")]) {
            let line =
                page.lines().find_map(|line| line.strip_prefix(row.as_str())).unwrap_or_else(|| panic!("no {row}"));
            let cell = line.split(" | ").next().unwrap().replace(',', "");
            let told: Vec<u64> =
                cell.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
            assert_eq!(told, figures, "{row}");
        }
    }
}
