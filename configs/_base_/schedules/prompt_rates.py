# Learning rates of domain prompts: they, and what is made of them, learn ten times slower; not a PDNorm's own scale and
# shift, which are its bias. For optim_wrapper.paramwise_cfg.custom_keys.
prompt_rates = dict(
    prompts=dict(lr_mult=0.1), modulation=dict(lr_mult=0.1), adapters=dict(lr_mult=0.1),
    **{'modulation.bias': dict(lr_mult=1.)})
