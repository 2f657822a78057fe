"""The by-hand sheet: a net of two towers, small enough to compute forward and backward on paper."""
