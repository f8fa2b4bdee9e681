//! Sends to an outside host what its settings say, as often as they say, and logs status and body of each answer, or the
//! error. With the setting `insist` an error is the hook's own. It declares a host.
use fangshi_plugin::{Event, Order, Outcome, Pay, http, http_hosts, log, on_pay, setting};

http_hosts!("erp.example.com");

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    for _ in 0..setting::integer("times", 1)? {
        let header = http::Header { name: "x-order".into(), value: event.order_id() };
        let request = http::Request {
            method: setting::text("method", "POST"),
            url: setting::text("url", "https://erp.example.com/"),
            headers: vec![header],
            body: setting::text("body", "").into_bytes(),
        };
        match http::send(&request) {
            Ok(answer) => log!(Info, "{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(error) if setting::flag("insist", false)? => return Err(error.into()),
            Err(error) => log!(Info, "{error:?}"),
        }
    }
    Ok(())
}
