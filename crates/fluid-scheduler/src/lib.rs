//! TaskManager, TaskConsumer, TaskScheduler and the in-memory broker of fluid.
