//! The room's door: two addresses, one way to answer, and one for whatever else comes below them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use fangshi_tenants::TenantId;

use crate::callback::Callback;
use crate::intake::{Durable, Intake};

const CALLBACKS: &str = "/callback/";
const ROOM: &str = "/callback/weixin/";
const COMPONENT: &str = "component";

/// The way into the room. It stands before the router: nearly every request is a callback, and finding its route would
/// cost more than reading its query. Clones are the same door.
pub struct Door<I = Durable> {
    room: Arc<Callback<I>>,
}

impl<I: Intake> Door<I> {
    pub(crate) fn new(room: Callback<I>) -> Door<I> {
        Door { room: Arc::new(room) }
    }

    /// `/callback/weixin/component` or `/callback/weixin/{appid}`. The last segment counts as it stands: an appid has
    /// nothing to decode.
    fn address(path: &str) -> Option<&str> {
        path.strip_prefix(ROOM).filter(|last| !last.is_empty() && !last.contains('/'))
    }

    /// Whether a request with this path is for the room: all below `/callback/` is, so that a push to an address with a
    /// slip in it is noticed.
    pub fn leads_to(path: &str) -> bool {
        path.starts_with(CALLBACKS)
    }

    /// Takes a callback in and answers it; after [`Door::leads_to`] said so, or with the answer to an unknown shop.
    pub async fn answer(&self, request: Request) -> Response {
        let (room, started) = (&*self.room, Instant::now());
        let (tenant, answer) = match Self::address(request.uri().path()) {
            Some(COMPONENT) => (TenantId::HOST, room.component(request, started).await),
            appid => {
                let Some(tenant) = appid.and_then(|appid| room.weixin(appid)) else {
                    return room.nobody(request.uri().path());
                };
                (tenant.id, room.shop(&tenant, request, started).await)
            }
        };
        let response = answer.unwrap_or_else(|refusal| room.refuse(tenant, refusal));
        room.meters.answered(started);
        response
    }
}

impl<I> Clone for Door<I> {
    fn clone(&self) -> Self {
        Door { room: Arc::clone(&self.room) }
    }
}
