"""A hook that holds the classes of a model by domains against those of its data."""
from typing import Any, Dict, Iterator, Optional, Tuple

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch.utils.data import DataLoader

from mmdet3d.registry import HOOKS
from pretrain3d.datasets.domains import dataset_domain
from pretrain3d.evaluation.domain_metrics import DomainMeanIoUMetric
from pretrain3d.heads import DomainHead

from .input_check import leaf_datasets


class DomainClassesError(ValueError):
    """A dataset and the model, or its metric, do not mean the same by a label, or by a domain."""


@HOOKS.register_module()
class DomainCheckHook(Hook):
    """Stop a run, before it starts, in which a label would be trained or scored against another class' name.

    Every dataset of the run, inside wrappers too, must be of a domain that the head knows, with the classes that the
    head has for it, in the same order; so must the number of classes of the data preprocessor and the names of
    ``DomainMeanIoUMetric`` be. A test needs a checkpoint that has all of the domains it is of: what a checkpoint lacks,
    mmengine leaves as it was drawn, and scores it. Runs whose head is no ``DomainHead`` are not looked at.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Any) -> None:
        """Check every dataset.

        Raises:
            DomainClassesError: names the dataset, the label or domain, and the mend.
        """
        model, head = _model_and_head(runner)
        if head is None:
            return
        self._check_preprocessor(model, head)
        for name in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{name}_loop', None)
            loader = getattr(loop, 'dataloader', None)
            if not isinstance(loader, DataLoader):
                continue
            for dataset, domain in self._domains(loader.dataset, model, head):
                where = f'{name} data, {type(dataset).__name__} {getattr(dataset, "ann_file", "")}'
                try:
                    head.check_classes(domain, dataset.metainfo)
                except ValueError as error:
                    raise DomainClassesError(f'{where}: {error}') from error
                ignore = dataset.metainfo.get('ignore_index', len(head.class_names[domain]))
                if ignore != len(head.class_names[domain]):
                    raise DomainClassesError(f'{where}: its ignore_index is {ignore}, but must be the number of '
                                             f'classes of {domain}, {len(head.class_names[domain])}')
            for metric in getattr(getattr(loop, 'evaluator', None), 'metrics', ()):
                if isinstance(metric, DomainMeanIoUMetric):
                    self._check_names(f'{name}_evaluator', metric.class_names, head.class_names)

    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        """Hold the domains of a test, or of a validation by itself, against those of its checkpoint.

        Raises:
            DomainClassesError: names the domain that the checkpoint has not, and those that it has.
        """
        model, head = _model_and_head(runner)
        if head is None or isinstance(getattr(getattr(runner, '_train_loop', None), 'dataloader', None), DataLoader):
            return  # in training, what is not there begins anew
        state = checkpoint.get('state_dict', checkpoint)
        given = {key[7:] if key.startswith('module.') else key for key in state}
        keys = [key for key in model.state_dict() if key not in given and not key.endswith('num_batches_tracked')]
        lacking = {domain: [key for key in keys if domain in key.split('.')] for domain in head.label_spaces}
        known = [domain for domain, missing in lacking.items() if not missing]
        for name in ('val', 'test'):
            loader = getattr(getattr(runner, f'_{name}_loop', None), 'dataloader', None)
            for _, domain in self._domains(loader.dataset, model, head) if isinstance(loader, DataLoader) else ():
                if lacking[domain]:
                    raise DomainClassesError(
                        f'the checkpoint has nothing of the domain {domain} (no {lacking[domain][0]}), of which the '
                        f'{name} data are; of the domains of the model it has {", ".join(known) or "none"}')

    @staticmethod
    def _domains(dataset: Any, model: Any, head: DomainHead) -> Iterator[Tuple[Any, str]]:
        """Datasets inside wrappers, and their domains."""
        for leaf in leaf_datasets(dataset):
            domain = dataset_domain(leaf) or getattr(model, 'domain', None)
            try:
                yield leaf, head.check_domain(domain)
            except ValueError as error:
                raise DomainClassesError(
                    f'{type(leaf).__name__} {getattr(leaf, "ann_file", "")}: {error} Give the PackPretrain3DInputs of '
                    "its pipeline domain='<name>', and the head label_spaces=dict(<name>=...)") from error

    @staticmethod
    def _check_names(where: str, given: Dict[str, Any], wanted: Dict[str, Any]) -> None:
        for domain in given:
            if domain in wanted and tuple(given[domain]) != tuple(wanted[domain]):
                raise DomainClassesError(f'{where}: its classes of {domain} are {given[domain]}, those of the head '
                                         f'{wanted[domain]}: give both the same label_spaces and classes')
        missing = [domain for domain in wanted if domain not in given]
        if missing:
            raise DomainClassesError(f'{where} knows nothing of {missing}, which the head has: give it the same '
                                     'label_spaces')

    @staticmethod
    def _check_preprocessor(model: Any, head: DomainHead) -> None:
        given = getattr(model.data_preprocessor, 'num_classes', None)
        wanted = {domain: len(names) for domain, names in head.class_names.items()}
        if isinstance(given, dict):
            wrong = {domain: given.get(domain) for domain in wanted if given.get(domain) != wanted[domain]}
        else:
            wrong = {domain: given for domain in wanted if given not in (None, wanted[domain])}
        if wrong:
            raise DomainClassesError(f'num_classes of the data preprocessor is {given}, but the head has {wanted}: set '
                                     'model.data_preprocessor.num_classes to that')


def _model_and_head(runner: Any) -> Tuple[Any, Optional[DomainHead]]:
    """The segmentor of a run, outside of wrappers, and its head; None where that has no domains."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    model = model.module if isinstance(model, BaseTTAModel) else model  # test.py --tta
    head = getattr(model, 'decode_head', None)
    return model, head if isinstance(head, DomainHead) else None
