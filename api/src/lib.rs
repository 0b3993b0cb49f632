//! The HTTP service. Empty until the service issue: the command line is the only door today.
