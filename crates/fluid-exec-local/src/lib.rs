//! The executors of fluid that need no cluster: inline and subprocess.
