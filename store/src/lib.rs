//! What Sillage remembers, and the questions it answers.
