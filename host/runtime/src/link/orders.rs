//! `fangshi:store/orders`: the order resource and reading one afresh.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};

use super::error::GuestError;
use super::guarded;
use crate::call::CallError;
use crate::contract::Contract;
use crate::state::{RunState, Stop};

/// The resource's type on the host's side; a handle carries the order's number in
/// [`Orders`](crate::state::Orders).
pub(crate) enum Order {}

type Handle = Result<Resource<Order>, GuestError>;

pub(super) fn link(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.resource("order", ResourceType::host::<Order>(), |mut store, rep| {
        store.data_mut().orders.close(rep);
        Ok(())
    })?;
    instance.func_wrap(
        "[method]order.id",
        |mut store: StoreContextMut<'_, RunState>, (order,): (Resource<Order>,)| {
            let state = store.data_mut();
            let id = state.orders.get(order.rep())?.id.clone();
            state.count(id.len() as u64)?;
            Ok((id,))
        },
    )?;
    instance.func_wrap_async("get", |mut store: StoreContextMut<'_, RunState>, (id,): (String,)| {
        Box::new(async move { Ok((get(store.data_mut(), &id).await?,)) })
    })
}

async fn get(state: &mut RunState, id: &str) -> Result<Handle, Stop> {
    state.pass_on(id.len() as u64).await?;
    let may_read = Contract::get().is_ok_and(|it| state.input.grants.iter().any(|grant| it.is_order_data(grant)));
    if !may_read {
        let text = "orders.get needs the grant of at least one group of order data, such as `order-summary`";
        return Ok(Err(GuestError::Denied(text.into())));
    }
    if id.is_empty() || id.len() > 64 {
        let error = CallError::Invalid("order-id: an order's id has 1 to 64 characters".into());
        return GuestError::from_call(error).map(Err);
    }
    match guarded(&mut state.waiting, state.host.read_order(id)).await? {
        Ok(snapshot) => {
            let rep = state.orders.open(snapshot, state.input.limits.open_orders)?;
            Ok(Ok(Resource::new_own(rep)))
        }
        Err(error) => GuestError::from_call(error).map(Err),
    }
}
