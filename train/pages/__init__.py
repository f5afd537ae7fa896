"""What people look at: plots, the page, the worst mistakes, model cards, bundles."""
