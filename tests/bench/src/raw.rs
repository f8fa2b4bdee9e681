//! The peer of `run`: wasmtime called directly, tuned as well as we know how, for the same guest. Fresh store and instance each
//! time; no limits, no fuel, no conversion.
use anyhow::{Context, Result};
use fangshi_harness::guest;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store,
    component::{
        Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, Resource, ResourceType,
    },
};

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Pay {
    #[component(name = "pay-time")]
    pay_time: i64,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Retry {
    reason: String,
    #[component(name = "after-seconds")]
    after_seconds: Option<u32>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Failure {
    #[component(name = "retry-later")]
    RetryLater(Retry),
    #[component(name = "reject")]
    Reject(String),
}

struct Event;
struct Order;

/// A guest, linked once.
pub struct Raw {
    engine: Engine,
    pre: InstancePre<()>,
    handle: ComponentExportIndex,
}

impl Raw {
    pub fn load(name: &str) -> Result<Raw> {
        let engine = Engine::new(&tuned())?;
        let component = Component::new(&engine, guest(name)?)?;
        let mut linker: Linker<()> = Linker::new(&engine);
        linker.instance("fangshi:host/events@0.1.0")?.resource(
            "event",
            ResourceType::host::<Event>(),
            |_, _| Ok(()),
        )?;
        linker
            .instance("fangshi:store/orders@0.1.0")?
            .resource("order", ResourceType::host::<Order>(), |_, _| Ok(()))?;
        linker
            .instance("fangshi:host/settings@0.1.0")?
            .func_wrap("get", |_, (_name,): (String,)| Ok((Some("100000".to_owned()),)))?;
        linker.define_unknown_imports_as_traps(&component)?;
        let hook = component.get_export_index(None, "fangshi:store/on-pay@0.1.0").context("the guest has no on-pay")?;
        let handle = component.get_export_index(Some(&hook), "handle").context("on-pay has no handle")?;
        Ok(Raw { pre: linker.instantiate_pre(&component)?, engine, handle })
    }

    /// One fresh call.
    pub fn call(&self) -> Result<()> {
        let mut store = Store::new(&self.engine, ());
        let instance = self.pre.instantiate(&mut store)?;
        let handle = instance.get_typed_func::<(Resource<Event>, Resource<Order>, Pay), (Result<(), Failure>,)>(
            &mut store,
            self.handle,
        )?;
        let given = (Resource::new_own(1), Resource::new_own(2), Pay { pay_time: 1_764_642_403 });
        handle.call(&mut store, given)?.0.map_err(|_| anyhow::anyhow!("the guest failed"))
    }
}

/// The settings that won in measurements: pooling, memory kept resident, page map scan, no concurrency support.
fn tuned() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(64)
        .total_core_instances(1024)
        .total_memories(256)
        .total_tables(1024)
        .max_unused_warm_slots(256)
        .linear_memory_keep_resident(4 << 20)
        .table_keep_resident(128 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .concurrency_support(false)
        .generate_address_map(false)
        .cranelift_opt_level(OptLevel::Speed);
    config
}
