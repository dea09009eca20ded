"""Networks: recurrent layers with what stands before and behind them for a kind of task."""
