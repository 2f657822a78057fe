"""Your AlexNet: a small net of two towers whose layers call a student's functions, trained beside the engine's own."""
