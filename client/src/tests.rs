mod follow;
mod http;
mod listener;
mod wire;
