//! The built program against real parts.
