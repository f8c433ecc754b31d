"""From what a person asks for to a merge that is ready to be pulled: recipes, blueprints, blocks, forecasts."""
