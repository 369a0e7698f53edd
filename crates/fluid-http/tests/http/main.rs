//! The routes, asked as a client asks them: over a real socket.

mod served;
mod thin;
