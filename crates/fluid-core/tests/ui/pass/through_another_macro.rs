use fluid_core::{TaskDefinition, task};

macro_rules! tasks {
    ($($name:ident every $interval:literal waits $timeout:expr;)*) => {
        $(
            #[task(schedule(every = $interval), timeout = $timeout)]
            async fn $name() {}
        )*
    };
}

tasks! {
    often every "1m" waits 5;
    seldom every 3600 waits "1h";
}

fn main() {
    assert!(often.task().schedule.is_some() && seldom.task().schedule.is_some());
}
