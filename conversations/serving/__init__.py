"""What surrounds Django's views: probes, refusals before them, who may watch a stream."""
