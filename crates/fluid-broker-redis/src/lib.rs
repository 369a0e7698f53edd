//! Redis and Valkey as the broker of fluid.

mod answer;
mod broker;
mod check;
mod claim;
mod connect;
mod course;
mod doubts;
mod end;
mod enqueue;
mod events;
mod fault;
mod find;
mod link;
mod listen;
mod logs;
mod options;
mod place;
mod presence;
mod record;
mod request;
mod script;
mod text;
mod told;
mod transfer;

pub use broker::RedisBroker;
pub use options::RedisOptions;
